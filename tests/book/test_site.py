"""The built site as a reader meets it: headless Chromium, no other host, both languages."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from book._tools import project, site
from book._tools.project import LANGUAGES, ROOT, SITE
from tests.book import browser

PAGES = [f"{language}/{page.slug}" for page in project.pages() for language in LANGUAGES]
CHAPTERS = [f"{language}/{page.slug}" for page in project.chapters() for language in LANGUAGES]
HREFLANG = {"zh": "zh-CN", "en": "en"}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address():
    if not site.is_current():
        pytest.skip("the site is not built from what lies here: make book")
    with browser.serve(ROOT / SITE) as url:
        yield url


@pytest.fixture(scope="module")
def installed():
    if None in browser.executables():
        pytest.skip("Chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def chrome(installed, tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.mark.parametrize("page", PAGES)
def test_page_loads_without_complaint(chrome, address, page):
    browser.complaints(chrome)
    chrome.get(f"{address}/{page}.html")
    WebDriverWait(chrome, 20).until(
        lambda c: c.execute_script("return document.readyState") == "complete"
    )
    assert browser.complaints(chrome) == []
    assert (
        chrome.find_elements(By.CSS_SELECTOR, ".katex-error, .system-message, .problematic") == []
    )
    language = page.split("/")[0]
    assert chrome.find_element(By.TAG_NAME, "html").get_attribute("lang") == HREFLANG[language]


@pytest.mark.parametrize("page", PAGES)
def test_alternates_name_both_languages(chrome, address, page):
    chrome.get(f"{address}/{page}.html")
    links = chrome.find_elements(By.CSS_SELECTOR, "head link[rel=alternate][hreflang]")
    found = {link.get_attribute("hreflang"): link.get_attribute("href") for link in links}
    slug = page.split("/", 1)[1]
    assert found == {HREFLANG[la]: f"{address}/{la}/{slug}.html" for la in LANGUAGES}


@pytest.mark.parametrize("page", PAGES)
def test_no_placeholders_while_the_address_is_empty(chrome, address, page):
    text = (ROOT / SITE / f"{page}.html").read_text(encoding="utf-8")
    for word in (
        "colab.research",
        "mybinder",
        "example.org",
        'rel="canonical"',
        "edit/main",
        "None/",
    ):
        assert word not in text
    chrome.get(f"{address}/{page}.html")
    assert (
        chrome.find_elements(By.CSS_SELECTOR, ".btn-launch-button, .btn-source-edit-button") == []
    )


def chrome_anchor(chrome, url):
    """An anchor in the middle of a chapter that both languages have: its first numbered equation."""
    chrome.get(url)
    return chrome.find_element(By.CSS_SELECTOR, "div.math[id]").get_attribute("id")


@pytest.mark.parametrize("page", CHAPTERS)
def test_language_switch_keeps_the_anchor(chrome, address, page):
    language, slug = page.split("/", 1)
    other = next(la for la in LANGUAGES if la != language)
    anchor = chrome_anchor(chrome, f"{address}/{page}.html")
    chrome.get(f"{address}/{page}.html#{anchor}")
    chrome.find_element(By.CSS_SELECTOR, "a.lang-switch").click()
    WebDriverWait(chrome, 20).until(lambda c: f"/{other}/" in c.current_url)
    assert chrome.current_url == f"{address}/{other}/{slug}.html#{anchor}"
    assert chrome.execute_script("return localStorage.lang") == other


@pytest.mark.parametrize(
    ("accepts", "expected"), [("zh-CN,zh", "zh"), ("en-US,en", "en"), ("fr", "en")]
)
def test_root_page_follows_the_browser_and_remembers(
    installed, address, tmp_path, accepts, expected
):
    with browser.chromium(tmp_path, language=accepts) as chrome:
        chrome.get(f"{address}/")
        WebDriverWait(chrome, 20).until(lambda c: c.current_url.endswith("/index.html"))
        assert f"/{expected}/" in chrome.current_url
        other = next(la for la in LANGUAGES if la != expected)
        chrome.find_element(By.CSS_SELECTOR, "a.lang-switch").click()
        WebDriverWait(chrome, 20).until(lambda c: f"/{other}/" in c.current_url)
        chrome.get(f"{address}/")
        WebDriverWait(chrome, 20).until(lambda c: f"/{other}/" in c.current_url)


FINISHED = {"zh": "搜索结果", "en": "Search Results"}  # the title once a search has ended


def search(chrome, address, language, query):
    """The pages that the site's own search finds."""
    chrome.get(f"{address}/{language}/search.html?q={query}")
    title = "return document.querySelector('#search-results h2')?.textContent"
    WebDriverWait(chrome, 20).until(lambda c: c.execute_script(title) == FINISHED[language])
    return chrome.find_elements(By.CSS_SELECTOR, "#search-results ul.search li a")


#: Words that a reader may look for, inside longer phrases too, and the page that must be found.
QUERIES = {
    "vision/fine-tuning": {
        "zh": ("微调", "冻结", "遗忘", "低秩适配", "批量归一化", "热狗", "虎斑猫"),
        "en": ("fine-tuning", "frozen", "forgetting", "LoRA", "batch norm", "espresso"),
    },
    "vision/object-detection": {
        "zh": ("目标检测", "交并比", "锚框", "非极大值抑制", "平均精度", "焦点损失"),
        "en": ("object detection", "anchor", "suppression", "average precision", "focal"),
    },
    "vision/image-augmentation": {
        "zh": ("图像增广", "镜像", "双线性", "外接框", "随机擦除", "Mixup", "轨道平均"),
        "en": ("augmentation", "mirror", "bilinear", "CutMix", "orbit average", "RandAugment"),
    },
    "text/text-representations": {
        "zh": ("词袋", "逆文档频率", "特征散列", "独热", "朴素贝叶斯", "平滑逆频率"),
        "en": ("bag of words", "TF-IDF", "naive Bayes", "hashing", "learning curve"),
    },
    "text/self-supervised-learning": {
        "zh": ("自监督", "线性探针", "对比损失", "互信息", "掩码自编码器", "坍缩"),
        "en": ("self-supervised", "linear probe", "contrastive", "SimCLR", "masked autoencoder"),
    },
    "text/bert": {
        "zh": ("注意力", "掩码", "上下文敏感", "BERT"),
        "en": ("attention", "masked", "pooler", "BERT"),
    },
    "text/glove": {
        "zh": ("共现", "点互信息", "奇异值", "GloVe"),
        "en": ("co-occurrence", "singular value", "GloVe"),
    },
    "text/embedding-dataset": {
        "zh": ("下采样", "齐普夫", "掩码", "希普斯", "流式读取", "GBK"),
        "en": ("subsampling", "Zipf", "byte-order mark", "filling", "Penn Treebank"),
    },
    "optimization/convexity": {
        "zh": ("凸函数", "詹森", "单纯形", "投影", "强凸", "权重衰减", "拉格朗日", "KKT"),
        "en": ("convex", "Jensen", "simplex", "projection", "weight decay", "KKT"),
    },
    "optimization/introduction": {
        "zh": (
            "经验风险",
            "泛化差距",
            "鞍点",
            "梯度消失",
            "反向传播",
            "随机矩阵",
            "提前停止",
            "sigmoid",
        ),
        "en": ("empirical risk", "saddle point", "backpropagation", "random matrix"),
    },
    "optimization/gradient-descent": {
        "zh": (
            "梯度下降",
            "条件数",
            "线搜索",
            "收敛速度",
            "预处理",
            "海森",
            "步长",
            "牛顿法",
            "回溯",
            "Newton",
        ),
        "en": ("condition number", "backtracking", "Newton", "preconditioning"),
    },
    "optimization/minibatch-sgd": {
        "zh": ("小批量", "噪声尺度", "临界批量", "线性缩放", "梯度累积", "向量化", "屋顶线"),
        "en": ("noise scale", "critical batch", "linear scaling", "accumulation"),
    },
    "optimization/momentum": {
        "zh": ("动量法", "重球法", "相图", "阻尼", "抑制", "过冲", "重启"),
        "en": ("heavy ball", "Nesterov", "phase diagram", "overshoot"),
    },
    "optimization/adaptive-methods": {
        "zh": ("自适应方法", "遗憾", "罕见词", "偏差修正", "权重衰减", "免调度"),
        "en": ("AdaGrad", "regret", "bias correction", "rare words", "schedule-free"),
    },
    "optimization/learning-rate-schedules": {
        "zh": ("学习率调度", "预热", "余弦", "热重启", "范围测试", "锐度", "误差带"),
        "en": ("warm-up", "cosine", "range test", "one-cycle", "sharpness"),
    },
    "optimization/stochastic-gradient-descent": {
        "zh": ("随机梯度", "噪声底", "无放回", "尾部平均", "方差", "指数衰减"),
        "en": ("noise floor", "reshuffling", "averaging", "unbiased"),
    },
    "text/word2vec": {
        "zh": ("词嵌入", "跳元模型", "连续词袋", "独热", "互信息", "类比", "斯皮尔曼"),
        "en": ("one-hot", "skip-gram", "CBOW", "mutual information", "analogy", "Spearman"),
    },
    "text/training-word2vec": {
        "zh": ("二元交叉熵", "算术强度", "词频线", "自助法", "覆盖率", "共用噪声"),
        "en": ("cross-entropy", "arithmetic intensity", "frequency line", "bootstrap", "coverage"),
    },
    "text/subword-embedding": {
        "zh": (
            "子词",
            "字节对编码",
            "散列",
            "词元分析器",
            "维特比",
            "词元率",
            "fastText",
            "最长匹配",
        ),
        "en": ("subword", "byte-pair encoding", "n-gram", "WordPiece", "Viterbi", "fertility"),
    },
    "text/approximate-training": {
        "zh": ("近似训练", "负采样", "别名法", "噪声对比估计", "层序", "哈夫曼"),
        "en": ("negative sampling", "alias method", "noise-contrastive", "Huffman"),
    },
}
SEARCHES = [
    (language, query, page.slug)
    for page in project.pages()
    for language, queries in QUERIES.get(page.slug, {}).items()
    for query in queries
]


@pytest.mark.parametrize(("language", "query", "slug"), SEARCHES)
def test_search_finds_words_inside_phrases(chrome, address, language, query, slug):
    results = search(chrome, address, language, query)
    assert any(slug in link.get_attribute("href") for link in results)


def test_search_finds_nothing_for_a_word_that_is_not_there(chrome, address):
    assert search(chrome, address, "zh", "量子色动力学") == []


@pytest.mark.parametrize("page", CHAPTERS)
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows_the_page(chrome, address, page, width):
    browser.set_window(chrome, width)
    chrome.get(f"{address}/{page}.html")
    inner, scroll = chrome.execute_script(
        "return [document.documentElement.clientWidth, document.documentElement.scrollWidth]"
    )
    assert scroll <= inner


MARKUP = re.compile(r"\|\s*:?-{2,}|\\[A-Za-z\"'^~{]|\]\(|\*\*|`|\$|\{[a-z:]+\}")
NOT_PROSE = "pre, code, .katex, .math, script, style, .cell_output"


@pytest.mark.parametrize("page", PAGES)
def test_no_markup_is_left(page):
    """A table that its own | has broken, LaTeX in a citation, bold type that does not close."""
    text = (ROOT / SITE / f"{page}.html").read_text(encoding="utf-8")
    article = BeautifulSoup(text, "html.parser").select_one("article.bd-article")
    assert article is not None
    for part in article.select(NOT_PROSE):
        part.decompose()
    assert list(article.find_all(string=MARKUP)) == []


@pytest.mark.parametrize("page", [p for p in PAGES if p.startswith("zh/")])
def test_interface_words_are_chinese(page):
    """No English word of the theme or an extension is left on a Chinese page."""
    text = (ROOT / SITE / f"{page}.html").read_text(encoding="utf-8")
    body = re.sub(
        r"<script.*?</script>|<style.*?</style>|<pre.*?</pre>|<code.*?</code>",
        " ",
        text,
        flags=re.S,
    )
    shown = re.sub(r"<[^>]+>", "\n", body)
    for word in (
        "Click to show", "Exercise", "Solution", "Proof", "Lemma", "Theorem", "Note", "Warning", "Search",
        "Next", "Previous", "Contents", "Show code", "Hide code", "By ", "Skip to main content", "Back to top",
        "Fig.", "Copyright by", "Toggle",
    ):  # fmt: skip
        assert not re.search(rf"^\s*{re.escape(word)}", shown, flags=re.M), word
    labels = re.findall(r'(?:title|aria-label|placeholder|data-bs-title)="([^"]+)"', body)
    left = {label for label in labels if re.fullmatch(r"[A-Za-z][A-Za-z /-]{3,}", label)}
    assert left == set(), left


@pytest.mark.parametrize("page", CHAPTERS)
def test_solutions_open_and_quiz_answers(chrome, address, page):
    browser.set_window(chrome, 1280)
    chrome.get(f"{address}/{page}.html")
    solution = chrome.find_element(By.CSS_SELECTOR, ".solution.dropdown")
    assert "toggle-hidden" in solution.get_attribute("class")
    button = solution.find_element(By.CSS_SELECTOR, "button.toggle-button")
    chrome.execute_script("arguments[0].scrollIntoView(); arguments[0].click()", button)
    assert "toggle-hidden" not in solution.get_attribute("class")
    options = chrome.find_elements(By.CSS_SELECTOR, "details.quiz-option")
    assert len(options) >= 8
    summary = options[0].find_element(By.TAG_NAME, "summary")
    chrome.execute_script("arguments[0].scrollIntoView(); arguments[0].click()", summary)
    assert options[0].find_element(By.TAG_NAME, "p").is_displayed()


EXPLORERS = [
    (page.slug, language, line.split()[-1])
    for page in project.chapters()
    for language in LANGUAGES
    for line in page.path(language).read_text(encoding="utf-8").splitlines()
    if line.startswith("```{explorer}")
]


@pytest.mark.parametrize(("slug", "language", "name"), EXPLORERS)
def test_sliders_change_figure_and_reading(chrome, address, slug, language, name):
    chrome.get(f"{address}/{language}/{slug}.html")
    box = chrome.find_element(By.CSS_SELECTOR, f"[data-explorer={name}]")
    sliders = box.find_elements(By.CSS_SELECTOR, "input[type=range]")
    # Words are typed or clicked, boxes are dragged.
    assert len(sliders) >= {"bpe": 1, "attention": 2, "guesses": 1, "boxes": 1}.get(name, 3)

    def drawn():
        if name == "bpe":
            return [token.text for token in box.find_elements(By.CSS_SELECTOR, ".token")]
        if name == "attention":
            tokens = box.find_elements(By.CSS_SELECTOR, ".token")
            return [token.get_attribute("data-weight") for token in tokens]
        if name == "guesses":
            return [share.text for share in box.find_elements(By.CSS_SELECTOR, ".share")]
        if name == "boxes":
            groups = box.find_elements(By.CSS_SELECTOR, "svg.boxes g")
            return [group.get_attribute("class") for group in groups]
        return box.find_element(By.CSS_SELECTOR, ".curve").get_attribute("points")

    def state():
        return drawn(), box.find_element(By.CSS_SELECTOR, ".reading").text

    before = state()
    assert before[0]
    assert before[1]
    chrome.execute_script(
        "const s = arguments[0]; s.value = s.value === s.min ? s.max : s.min;"
        "s.dispatchEvent(new Event('input'))",
        sliders[0],
    )
    after = state()
    assert after[0] != before[0]
    assert after[1] != before[1]
    labels = [label.text.split("\n")[0] for label in box.find_elements(By.CSS_SELECTOR, "label")]
    chinese = [any("\u4e00" <= c <= "\u9fff" for c in label) for label in labels]
    assert any(chinese) == (language == "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_pieces_are_hidden_by_clicks_and_by_keys(chrome, address, language):
    chrome.get(f"{address}/{language}/text/bert.html")
    box = chrome.find_element(By.CSS_SELECTOR, "[data-explorer=guesses]")
    chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)

    def buttons():
        return box.find_elements(By.CSS_SELECTOR, "button.token")

    def hidden():
        """The only place where [MASK] stands, which has the focus and one true piece below."""
        pressed = [button.get_attribute("aria-pressed") == "true" for button in buttons()]
        assert [button.text == "[MASK]" for button in buttons()] == pressed
        assert chrome.switch_to.active_element == buttons()[pressed.index(True)]
        assert len(box.find_elements(By.CSS_SELECTOR, ".bars .own")) == 1
        return pressed.index(True)

    buttons()[3].click()
    assert hidden() == 3
    chrome.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert hidden() == 4
    buttons()[0].send_keys(Keys.ENTER)
    assert hidden() == 0
    chrome.switch_to.active_element.send_keys(Keys.ARROW_LEFT)  # there is none before it
    assert hidden() == 0
    true = box.find_element(By.CSS_SELECTOR, ".bars .own .piece").text.removesuffix(" ✓")
    assert true in box.find_element(By.CSS_SELECTOR, ".reading").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_boxes_move_by_keys_and_by_dragging(chrome, address, language):
    chrome.get(f"{address}/{language}/vision/object-detection.html")
    first = chrome.find_elements(By.CSS_SELECTOR, "svg.boxes g")[0]
    rect = first.find_element(By.CSS_SELECTOR, "rect")
    corner = chrome.find_element(By.CSS_SELECTOR, "svg.boxes .corner")

    def place():
        return [float(rect.get_attribute(key)) for key in ("x", "y", "width", "height")]

    chrome.execute_script("arguments[0].scrollIntoView({block: 'center'})", first)
    x, y, width, height = place()
    first.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert place() == [x + 4, y + 8, width, height]
    ActionChains(chrome).key_down(Keys.SHIFT).send_keys(Keys.ARROW_LEFT).key_up(
        Keys.SHIFT
    ).perform()
    assert place() == [x + 4, y + 8, width - 4, height]
    first.send_keys(*[Keys.ARROW_UP] * 60)
    assert place()[1] == 0  # it stays inside
    before = place()
    ActionChains(chrome).drag_and_drop_by_offset(corner, 30, 40).perform()
    after = place()
    assert after[:2] == before[:2]
    assert after[2] > before[2] + 10
    assert after[3] > before[3] + 10
