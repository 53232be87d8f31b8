"""What some of ImageNet's 1,000 classes are called, in both languages of the course.

Only those that the pages name. English names are those that torchvision publishes; the
Chinese ones are this course's.
"""

from typing import NamedTuple

CLASSES = 1000


class ClassName(NamedTuple):
    """One class in two languages."""

    en: str
    zh: str


IMAGENET_NAMES = {
    281: ClassName("tabby", "虎斑猫"),
    282: ClassName("tiger cat", "虎纹猫"),
    285: ClassName("Egyptian cat", "埃及猫"),
    287: ClassName("lynx", "猞猁"),
    309: ClassName("bee", "蜜蜂"),
    422: ClassName("barbell", "杠铃"),
    442: ClassName("bell cote", "钟亭"),
    450: ClassName("bobsled", "有舵雪橇"),
    504: ClassName("coffee mug", "咖啡杯"),
    540: ClassName("drilling platform", "钻井平台"),
    560: ClassName("football helmet", "橄榄球头盔"),
    573: ClassName("go-kart", "卡丁车"),
    657: ClassName("missile", "导弹"),
    663: ClassName("monastery", "寺院"),
    698: ClassName("palace", "宫殿"),
    744: ClassName("projectile", "抛射物"),
    812: ClassName("space shuttle", "航天飞机"),
    925: ClassName("consomme", "清汤"),
    934: ClassName("hotdog", "热狗"),
    947: ClassName("mushroom", "蘑菇"),
    967: ClassName("espresso", "浓缩咖啡"),
    968: ClassName("cup", "杯子"),
    975: ClassName("lakeside", "湖畔"),
    985: ClassName("daisy", "雏菊"),
    996: ClassName("hen-of-the-woods", "灰树花"),
}


def imagenet_name(index: int) -> ClassName:
    """The name of a class.

    Raises:
        ValueError: if it is none of 0 … 999, or one that no page names.
    """
    if not 0 <= index < CLASSES:
        raise ValueError(f"index must be in 0 … {CLASSES - 1}, got {index}")
    if index not in IMAGENET_NAMES:
        raise ValueError(
            f"class {index} is not named here; those that are: "
            f"{', '.join(map(str, IMAGENET_NAMES))}"
        )
    return IMAGENET_NAMES[index]
