"""How a run is driven: its settings, its device, its progress, and the record it leaves."""
