//! Reading and printing queries.

use super::*;
use proptest::prelude::*;

fn names() -> Names {
    Names::new([
        ("court".to_string(), "法院".to_string(), "Court".to_string()),
        ("decided".to_string(), "裁判日期".to_string(), "Date".to_string()),
        ("text".to_string(), "全文".to_string(), "Text".to_string()),
    ])
}

fn read(text: &str) -> Vec<Node> {
    let query = Query::parse(text, &names());
    assert!(query.problems.is_empty(), "{text}: {:?}", query.problems);
    query.parts
}

fn has(text: &str) -> Node {
    Node::Has(text.into())
}

fn phrase(text: &str) -> Node {
    Node::Phrase(text.into())
}

fn word(text: &str) -> Node {
    Node::Word(text.into())
}

fn not(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn field(name: &str, node: Node) -> Node {
    Node::Field { name: name.into(), node: Box::new(node) }
}

#[test]
fn words_phrases_and_exclusions() {
    assert_eq!(read("盗窃　电动车"), [word("盗窃"), word("电动车")]);
    assert_eq!(read("“入户盗窃” -累犯 非 自首"), [phrase("入户盗窃"), not(has("累犯")), not(has("自首"))]);
    assert_eq!(read("非法经营"), [word("非法经营")]);
    assert_eq!(read("「称“你好”」后"), [phrase("称“你好”"), word("后")]);
    assert_eq!(read("\"说\"\"好\"\"\""), [phrase("说\"好\"")]);
    assert_eq!(read("（2017）沪0120刑初684号"), [word("（2017）沪0120刑初684号")]);
    assert_eq!(read("(2017) 〔2017〕"), [word("(2017)"), word("〔2017〕")]);
    assert_eq!(read("+盗窃 诈骗"), [has("盗窃"), word("诈骗")]);
    assert_eq!(read("电动*车"), [has("电动*车")]);
    assert_eq!(read("+(2017)沪0120刑初684号"), [has("(2017)沪0120刑初684号")]);
    assert!(read(" \u{3000}\n").is_empty());
    assert_eq!(read("被告人：张三"), [word("被告人：张三")]);
}

#[test]
fn operators_bind_as_said() {
    let or = |list: &[Node]| Node::Or(list.to_vec());
    assert_eq!(read("盗窃 且 电动车"), [has("盗窃"), has("电动车")]);
    assert_eq!(read("盗窃 AND (电动车 或 自行车)"), [has("盗窃"), or(&[has("电动车"), has("自行车")])]);
    assert_eq!(read("盗窃 电动车 或 诈骗"), [or(&[Node::And(vec![has("盗窃"), has("电动车")]), has("诈骗")])]);
    assert_eq!(read("非 (盗窃 或 诈骗) 且 自首"), [not(or(&[has("盗窃"), has("诈骗")])), has("自首")]);
    let near = |how, items: &[Node]| Node::Near { how, items: items.to_vec() };
    assert_eq!(
        read("\"交通肇事\" NEAR/5 逃逸 自首"),
        [near(Near::Chars(5), &[phrase("交通肇事"), has("逃逸")]), word("自首")]
    );
    assert_eq!(
        read("甲 /s 乙 /s (丙 或 丁)"),
        [near(Near::Sentence, &[has("甲"), has("乙"), or(&[has("丙"), has("丁")])])]
    );
    assert_eq!(
        read("甲 同句 乙 /p 丙"),
        [Node::And(vec![
            near(Near::Sentence, &[has("甲"), has("乙")]),
            near(Near::Paragraph, &[has("乙"), has("丙")])
        ])]
    );
}

#[test]
fn fields_ranges_and_sections() {
    assert_eq!(read("法院:徐汇 盗窃"), [field("court", has("徐汇")), word("盗窃")]);
    assert_eq!(read("court：“徐汇区法院”"), [field("court", phrase("徐汇区法院"))]);
    let edge = |text: &str| Some((text.to_string(), true));
    assert_eq!(
        read("裁判日期:2019..2020 裁判日期:>=2021-05 法院:*"),
        [
            field("decided", Node::Range(edge("2019"), edge("2020"))),
            field("decided", Node::Range(edge("2021-05"), None)),
            field("court", Node::Any)
        ]
    );
    assert_eq!(read("法院:(徐汇 或 长宁)"), [field("court", Node::Or(vec![has("徐汇"), has("长宁")]))]);
    assert_eq!(
        read("本院认为:自首 -辩称:\"没有\""),
        [
            Node::In { section: Section::Reasons, node: Box::new(has("自首")) },
            not(Node::In { section: Section::Defence, node: Box::new(phrase("没有")) })
        ]
    );
}

#[test]
fn mistakes_are_placed_and_forgiven() {
    let problem = |text: &str| {
        let query = Query::parse(text, &names());
        assert_eq!(query.problems.len(), 1, "{text}: {:?}", query.problems);
        (query.problems[0].from, query.problems[0].to, query.parts)
    };
    assert_eq!(problem("盗窃 且"), (3, 4, vec![word("盗窃")]));
    assert_eq!(problem("或 盗窃"), (0, 1, vec![word("盗窃")]));
    assert_eq!(problem("盗窃 \"没有结尾"), (3, 8, vec![word("盗窃"), phrase("没有结尾")]));
    assert_eq!(problem("甲 且 (乙 或 丙"), (4, 5, vec![has("甲"), Node::Or(vec![has("乙"), has("丙")])]));
    assert_eq!(problem("甲 /s 法院:乙"), (2, 8, vec![Node::And(vec![has("甲"), field("court", has("乙"))])]));
}

/// Pieces that queries are made of, in any order.
fn typed() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "盗窃",
        "张三",
        "（2017）沪01",
        "(",
        ")",
        "（",
        "）",
        "\"",
        "“",
        "”",
        "「",
        "」",
        " ",
        "　",
        "且",
        "或",
        "非",
        "AND",
        "OR",
        "NOT",
        "-",
        "+",
        ":",
        "：",
        "法院",
        "court:",
        "本院认为:",
        "/s",
        "/p",
        "/3",
        "NEAR/5",
        "同句",
        "*",
        "?",
        "..",
        ">=",
        "<",
        "2019",
        "裁判日期:",
        "，",
        "。",
        "a",
        "x y",
        "\n",
        "~",
        "\\",
        "吗？",
    ]);
    prop::collection::vec((piece, prop::bool::ANY), 0..14).prop_map(|list| {
        list.into_iter().map(|(piece, space)| format!("{piece}{}", if space { " " } else { "" })).collect()
    })
}

fn identity(text: &str) -> Result<(), TestCaseError> {
    let names = names();
    let query = Query::parse(text, &names);
    for problem in &query.problems {
        prop_assert!(problem.from <= problem.to && problem.to <= text.chars().count());
    }
    let printed = query.print(&names);
    let again = Query::parse(&printed, &names);
    prop_assert_eq!(&again.parts, &query.parts, "{:?} printed {:?}", text, printed);
    prop_assert!(again.problems.is_empty(), "{:?} printed {:?}: {:?}", text, printed, again.problems);
    let joined: Vec<String> = query.chips(&names).into_iter().map(|c| c.text).collect();
    prop_assert_eq!(Query::parse(&joined.join(" "), &names).parts, query.parts);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_is_printed_is_read_as_the_same(text in typed()) {
        identity(&text)?;
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        identity(&text)?;
    }
}
