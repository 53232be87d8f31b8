"""Computer vision: boxes, anchors and detection, pure functions of tensors."""
