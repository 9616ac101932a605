"""What reasons say, by language and code. ``{name}`` is a figure as a whole number,
``{name:percent}`` one as a percentage with one decimal."""

TEMPLATES: dict[str, dict[str, str]] = {
    "en": {
        "bought_lately": "bought its products {times} times in {days} days",
        "bought_before": "bought {products} of its products before",
        "answers": "answered {answered} of the {shown} times that activities were shown",
        "type_answered": "{rate:percent} of those who were shown such activities answered",
        "suits": "number {place} among the activities by what was chosen before",
        "popular_in_segment": "popular with your segment: number {place} among the activities",
        "recent": "days since the last purchase: {days}",
    },
    "zh": {
        "bought_lately": "近{days}天购买活动商品{times}次",
        "bought_before": "购买过{products}种活动商品",
        "answers": "看过{shown}次活动，参与{answered}次",
        "type_answered": "此类活动的参与率为{rate:percent}",
        "suits": "按以往选择，在各活动中排第{place}位",
        "popular_in_segment": "受同类用户欢迎，在各活动中排第{place}位",
        "recent": "{days}天前有过购买",
    },
}

SEPARATORS = {"en": "; ", "zh": "；"}
