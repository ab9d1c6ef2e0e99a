//! Texts of every kind of case, written for these tests in the forms that courts use.

use super::*;

const CRIMINAL: &str = "上海市长宁区人民法院\n刑事判决书\n（2018）沪0105刑初655号\n公诉机关上海市长宁区人民检察院。\n被告人安立新，男，1993年2月12日出生，汉族，户籍地江苏省。因涉嫌犯盗窃罪于2018年4月15日被刑事拘留，同年5月20日被逮捕。\n辩护人钟文，上海某律师事务所律师。\n上海市长宁区人民检察院以沪长检诉刑诉［2018］643号起诉书指控被告人安立新犯盗窃罪，于2018年7月2日向本院提起公诉。本院依法适用简易程序，实行独任审判，公开开庭审理了本案。现已审理终结。\n上海市长宁区人民检察院指控：2016年5月9日13时许，被告人安立新撬门入户盗窃，窃得首饰后逃逸。\n被告人安立新对指控的事实无异议。\n经审理查明，公诉机关指控的事实属实。\n本院认为，被告人安立新以非法占有为目的，入户盗窃他人财物，其行为已构成盗窃罪。依照《中华人民共和国刑法》第二百六十四条、第六十七条第三款、第五十二条、第五十三条、第六十四条，《中华人民共和国刑事诉讼法》第二百一十四条之规定，判决如下：\n一、被告人安立新犯盗窃罪，判处有期徒刑一年六个月，缓刑二年，并处罚金人民币二千元。\n二、违法所得予以追缴。\n如不服本判决，可在接到判决书的第二日起十日内，通过本院或者直接向上海市第一中级人民法院提出上诉。\n审判员 许文\n二〇一八年七月十六日\n书记员 辛欣\n附：相关法律条文\n《中华人民共和国刑法》\n第二十五条共同犯罪是指二人以上共同故意犯罪。";

const CIVIL: &str = "北京市朝阳区人民法院\n民事判决书\n(2021)京0105民初12345号\n原告：赵明华，女，1980年1月1日出生，汉族，住北京市朝阳区。\n委托诉讼代理人：孙丽，北京某某律师事务所律师。\n被告：北京某某科技有限公司，住所地北京市海淀区。\n法定代表人：钱进，总经理。\n第三人：李四，男，汉族。\n原告赵明华与被告北京某某科技有限公司、第三人李四民间借贷纠纷一案，本院于2021年3月5日立案后，依法适用普通程序，公开开庭进行了审理。本案现已审理终结。\n原告赵明华向本院提出诉讼请求：判令被告偿还借款本金50万元及利息。事实和理由：被告因经营需要借款。\n被告北京某某科技有限公司辩称，借款属实，但已归还部分。\n经审理查明：2019年双方签订借款协议。\n本院认为，合法的借贷关系受法律保护。依照《中华人民共和国民法典》第六百六十七条、第六百七十五条，《最高人民法院关于审理民间借贷案件适用法律若干问题的规定》第二十五条第一款，《中华人民共和国民事诉讼法》第六十七条规定，判决如下：\n一、被告北京某某科技有限公司于本判决生效之日起十日内偿还原告赵明华借款本金50万元；\n二、驳回原告赵明华的其他诉讼请求。\n如不服本判决，可以在判决书送达之日起十五日内，向本院递交上诉状，上诉于北京市第三中级人民法院。\n审判长　周正\n人民陪审员　吴用\n二〇二一年六月三十日\n书记员　郑和";

const ADMINISTRATIVE: &str = "浙江省杭州市中级人民法院 行 政 判 决 书 〔2020〕浙01行终88号 上诉人（原审原告）王某某，男，住杭州市。 被上诉人（原审被告）杭州市公安局某区分局，住所地杭州市。 负责人陈某，局长。 上诉人王某某因诉被上诉人杭州市公安局某区分局行政处罚一案，不服杭州市某区人民法院(2019)浙0105行初66号行政判决，向本院提起上诉。本院依法组成合议庭审理了本案，现已审理终结。 原审法院认定，2019年5月1日，王某某与他人发生争执。 本院认为，原判认定事实清楚，适用法律正确。依照《中华人民共和国行政诉讼法》第八十九条第一款第（一）项之规定，判决如下： 驳回上诉，维持原判。 本判决为终审判决。 审判长 何文 审判员 吕武 二○二○年十一月二日 书记员 施工";

#[test]
fn a_criminal_judgment_is_read() {
    let read = judgment(CRIMINAL);
    assert_eq!(read.court.as_ref().expect("court").value, "上海市长宁区人民法院");
    assert_eq!(read.case_number.as_ref().expect("number").value, "（2018）沪0105刑初655号");
    assert_eq!(read.kind.as_ref().expect("kind").value, "criminal");
    assert_eq!(read.document.as_ref().expect("form").value, "刑事判决书");
    assert_eq!(read.procedure.as_ref().expect("procedure").value, "summary");
    assert_eq!(read.judged_on.as_ref().expect("date").value.to_string(), "2018-07-16");
    assert_eq!(read.charges.iter().map(|c| c.value.as_str()).collect::<Vec<_>>(), ["盗窃罪"]);
    let parties: Vec<(&str, &str)> = read.parties.iter().map(|p| (p.role.as_str(), p.name.as_str())).collect();
    assert_eq!(parties, [("公诉机关", "上海市长宁区人民检察院"), ("被告人", "安立新"), ("辩护人", "钟文")]);
    assert_eq!(read.parties[0].being, Being::Organisation);
    let penal: Vec<u32> = read.statutes.iter().filter(|s| s.law == "中华人民共和国刑法").map(|s| s.article).collect();
    assert_eq!(penal, [264, 67, 52, 53, 64], "the appendix is not cited");
    let outcome = read.outcome.expect("ruling");
    assert_eq!(
        (outcome.kind, outcome.term_months, outcome.fine, outcome.probation),
        ("convicted", Some(18), Some(200_000), true)
    );
    let parts: Vec<Part> = read.sections.iter().map(|s| s.part).collect();
    assert_eq!(
        parts,
        [
            Part::Header,
            Part::Claims,
            Part::Defence,
            Part::Findings,
            Part::Reasoning,
            Part::Ruling,
            Part::Signature,
            Part::Appendix
        ]
    );
    assert_eq!(read.related[0].text, "沪长检诉刑诉（2018）643号");
    assert_eq!(read.related[0].agency, Agency::Procuratorate);
    // Places lead back to the text.
    let chars: Vec<char> = CRIMINAL.chars().collect();
    let (start, end) = read.charges[0].place;
    assert_eq!(chars[start..end].iter().collect::<String>(), "盗窃罪");
}

#[test]
fn a_civil_judgment_is_read() {
    let read = judgment(CIVIL);
    assert_eq!(read.court.as_ref().expect("court").value, "北京市朝阳区人民法院");
    assert_eq!(read.case_number.as_ref().expect("number").value, "（2021）京0105民初12345号");
    assert_eq!(read.kind.as_ref().expect("kind").value, "civil");
    assert_eq!(read.procedure.as_ref().expect("procedure").value, "ordinary");
    assert_eq!(read.judged_on.as_ref().expect("date").value.to_string(), "2021-06-30");
    assert_eq!(read.charges[0].value, "民间借贷纠纷");
    let parties: Vec<(&str, &str)> = read.parties.iter().map(|p| (p.role.as_str(), p.name.as_str())).collect();
    assert_eq!(
        parties,
        [
            ("原告", "赵明华"),
            ("委托诉讼代理人", "孙丽"),
            ("被告", "北京某某科技有限公司"),
            ("法定代表人", "钱进"),
            ("第三人", "李四")
        ]
    );
    let labels: Vec<String> = read.statutes.iter().map(Cited::label).collect();
    assert_eq!(labels[1], "《中华人民共和国民法典》第675条");
    assert!(labels.iter().any(|l| l.contains("民间借贷案件") && l.ends_with("第25条第一款")), "{labels:?}");
    assert_eq!(read.outcome.expect("ruling").kind, "partly");
}

#[test]
fn an_administrative_appeal_is_read() {
    let read = judgment(ADMINISTRATIVE);
    assert_eq!(read.court.as_ref().expect("court").value, "浙江省杭州市中级人民法院");
    assert_eq!(read.case_number.as_ref().expect("number").value, "（2020）浙01行终88号");
    assert_eq!(read.kind.as_ref().expect("kind").value, "administrative");
    assert_eq!(read.charges[0].value, "行政处罚");
    assert_eq!(read.judged_on.as_ref().expect("date").value.to_string(), "2020-11-02");
    let parties: Vec<(&str, &str)> = read.parties.iter().map(|p| (p.role.as_str(), p.name.as_str())).collect();
    assert_eq!(parties[0], ("上诉人（原审原告）", "王某某"));
    assert_eq!(parties[1].0, "被上诉人（原审被告）");
    assert_eq!(read.outcome.expect("ruling").kind, "upheld");
    assert_eq!(read.related[0].text, "（2019）浙0105行初66号");
}

#[test]
fn scans_with_stray_spaces_read_the_same() {
    let spaced: String =
        CRIMINAL.chars().flat_map(|c| if c == '\n' || c.is_ascii() { vec![c] } else { vec![c, ' '] }).collect();
    let (plain, scan) = (judgment(CRIMINAL), judgment(&spaced));
    assert_eq!(plain.court.map(|c| c.value), scan.court.map(|c| c.value));
    assert_eq!(plain.case_number.map(|c| c.value), scan.case_number.map(|c| c.value));
    assert_eq!(plain.judged_on.map(|c| c.value), scan.judged_on.map(|c| c.value));
    let articles = |e: &[Cited]| e.iter().map(|c| (c.article, c.detail.clone())).collect::<Vec<_>>();
    assert_eq!(articles(&plain.statutes), articles(&scan.statutes));
    assert_eq!(
        plain.parties.iter().map(|p| &p.name).collect::<Vec<_>>(),
        scan.parties.iter().map(|p| &p.name).collect::<Vec<_>>()
    );
}

#[test]
fn brackets_of_every_kind_are_read() {
    for (open, close) in [("(", ")"), ("〔", "〕"), ("［", "］"), ("[", "]"), ("【", "】"), ("﹝", "﹞")] {
        let text = CRIMINAL.replace("（2018）", &format!("{open}2018{close}"));
        assert_eq!(judgment(&text).case_number.expect("number").value, "（2018）沪0105刑初655号", "{open}");
    }
}

#[test]
fn a_fast_judgment_with_two_charges_and_two_defendants() {
    let text = "重庆市渝北区人民法院 刑事判决书 （2019）渝0112刑初7号 公诉机关重庆市渝北区人民检察院。 被告人甲某，男。 被告人乙某，男。 本院适用速裁程序审理了本案。 本院认为，罪名成立。依据《中华人民共和国刑法》第三百零三条第二款、第一百三十三条之一第一款第（二）项、第六十九条，判决如下： 一、被告人甲某犯开设赌场罪，判处有期徒刑十个月，并处罚金人民币3，000元；犯危险驾驶罪，判处拘役二个月，并处罚金人民币二千元；数罪并罚，决定执行有期徒刑十个月，并处罚金人民币五千元。 二、被告人乙某犯开设赌场罪，免予刑事处罚。 审判员 丙丁 二〇一九年一月二日";
    let read = judgment(text);
    assert_eq!(read.charges.iter().map(|c| c.value.as_str()).collect::<Vec<_>>(), ["开设赌场罪", "危险驾驶罪"]);
    assert_eq!(read.procedure.expect("procedure").value, "fast_track");
    let outcome = read.outcome.expect("ruling");
    assert_eq!((outcome.term_months, outcome.fine), (Some(10), Some(500_000)));
    let inserted: Vec<(u32, u32)> = read.statutes.iter().map(|s| (s.article, s.inserted)).collect();
    assert_eq!(inserted, [(303, 0), (133, 1), (69, 0)]);
    assert_eq!(read.parties.iter().filter(|p| p.role == "被告人").count(), 2);
}

#[test]
fn nothing_is_invented() {
    for text in ["", "   ", "今天天气很好。", "（）号", "法院", "判决如下：", "《》第条", "犯罪", "第九千九百九十九条"]
    {
        let read = judgment(text);
        assert!(read.case_number.is_none() && read.judged_on.is_none() && read.statutes.is_empty(), "{text}: {read:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_read_without_panic(parts in proptest::collection::vec(proptest::sample::select(vec!["法院", "（2017）", "沪0120刑初", "号", "《刑法》", "第", "条", "二百", "判决如下：", "本院认为", "被告人", "：", "张三", "、", "犯", "盗窃罪", "一案", "\n", " ", "。", "(", ")", "年", "月", "日", "二〇一七", "有期徒刑", "😀", "ﬀ", "罪", "诉"]), 0..40)) {
        let text = parts.concat();
        let read = judgment(&text);
        let length = text.chars().count();
        for section in &read.sections {
            proptest::prop_assert!(section.place.0 <= section.place.1 && section.place.1 <= length);
        }
    }
}
