//! Keeps docs/models.md true: every example in it is computed here. `ZONGLAN_UPDATE=1` rewrites it.

use crate::evaluate;
use crate::index::file::IndexFile;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use zonglan_catalog::Catalogue;

fn ask(catalogue: &Catalogue, model: &str, body: &Value) -> Value {
    evaluate(model, body.clone(), catalogue).unwrap_or_else(|e| panic!("{model}: {e}"))
}

fn body(out: &mut String, model: &str, body: &Value) {
    let _ = writeln!(out, "```json\nPOST /api/v1/models/{model}/evaluate\n{body}\n```\n");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The weights and bounds of the three-district example.
fn districts(form: &str, aggregation: &str) -> Value {
    json!({
        "form": form, "aggregation": aggregation, "t_min": -0.5,
        "dimensions": [
            {"id": "S", "weight": 0.6, "indicators": [
                {"id": "S1", "weight": 0.40, "satisfactory": 2, "inadmissible": 12},
                {"id": "S2", "weight": 0.35, "satisfactory": 5, "inadmissible": 30},
                {"id": "S3", "weight": 0.25, "satisfactory": 98, "inadmissible": 85}]},
            {"id": "F", "weight": 0.4, "indicators": [
                {"id": "F1", "weight": 0.60, "satisfactory": 99, "inadmissible": 90},
                {"id": "F2", "weight": 0.40, "interval": [18, 22], "limits": [8, 32]}]}],
        "units": {
            "A": {"S1": 4.5, "S2": 11, "S3": 95.2, "F1": 97.8, "F2": 20},
            "B": {"S1": 8, "S2": 19.5, "S3": 92, "F1": 95, "F2": 15},
            "C": {"S1": 11.2, "S2": 27, "S3": 88, "F1": 91.5, "F2": 26}}})
}

fn firms() -> Value {
    let indicator = |id: &str, satisfactory: f64, inadmissible: f64| json!({"id": id, "weight": 1, "satisfactory": satisfactory, "inadmissible": inadmissible});
    json!({"form": "linear", "aggregation": "geometric", "t_min": -0.5,
        "dimensions": [{"id": "D", "weight": 1, "indicators": [
            indicator("d1", 5733.0, 3575.0), indicator("d2", 71.2, 52.2), indicator("d3", 93.2, 84.9), indicator("d4", 16.7, 7.3)]}],
        "units": {
            "甲": {"d1": 5733, "d2": 60.5, "d3": 91.5, "d4": 16.7},
            "乙": {"d1": 3575, "d2": 52.2, "d3": 93.2, "d4": 7.3},
            "丙": {"d1": 3929, "d2": 71.2, "d3": 84.9, "d4": 10.7},
            "丁": {"d1": 4404, "d2": 69.7, "d3": 88.0, "d4": 12.8}}})
}

fn index(out: &mut String, catalogue: &Catalogue) {
    out.push_str("## 社会治安指数 `security-index`\n\n");
    out.push_str("功效系数 t = (指标值 − 不允许值) ÷ (满意值 − 不允许值)，限制在 [t_min, 1]；得分 d = 40 t + 60（线性，改进的功效系数法），\
        d = 60·e^(−ln0.6·t)（指数型），d = 60 + 40·ln(1 + (e−1)·t)（对数型）。区间型指标在区间内 t = 1，向两侧限值线性降到 0。\
        指标按权重汇总为维度，维度按权重汇总为指数：加权算术平均或加权几何平均。缺失的指标剔除，权重重新归一并标明。\n\n");
    out.push_str("三个区的例子（状况 0.6：S1 万人刑事警情、S2 侵财、S3 安全感；防控 0.4：F1 视频完好率、F2 巡防力量，区间 18 至 22）：\n\n");
    body(out, "security-index", &districts("linear", "arithmetic"));
    let scored: Vec<Value> = [
        ("linear", "arithmetic"),
        ("linear", "geometric"),
        ("exponential", "arithmetic"),
        ("logarithmic", "arithmetic"),
    ]
    .iter()
    .map(|(form, aggregation)| ask(catalogue, "security-index", &districts(form, aggregation)))
    .collect();
    out.push_str("| 区 | 状况 S | 防控 F | 算术 | 几何 | 指数型 | 对数型 |\n|---|---|---|---|---|---|---|\n");
    for unit in ["A", "B", "C"] {
        let of = |n: usize| number(&scored[n]["units"][unit]["value"]);
        let dimension = |id: &str| number(&scored[0]["units"][unit]["dimensions"][id]);
        let _ = writeln!(
            out,
            "| {unit} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |",
            dimension("S"),
            dimension("F"),
            of(0),
            of(1),
            of(2),
            of(3)
        );
    }
    let firms = ask(catalogue, "security-index", &firms());
    out.push_str("\n四个企业的例子（改进的功效系数法教材算例，满意值、不允许值取四个企业的最大、最小值，几何平均）：\n\n| 企业 | d1 | d2 | d3 | d4 | D |\n|---|---|---|---|---|---|\n");
    for unit in ["甲", "乙", "丙", "丁"] {
        let one = &firms["units"][unit];
        let d = |id: &str| number(&one["indicators"][id]);
        let _ = writeln!(
            out,
            "| {unit} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |",
            d("d1"),
            d("d2"),
            d("d3"),
            d("d4"),
            number(&one["value"])
        );
    }
    out.push_str("\n教材用舍入的中间值，丙为 73.847、丁为 82.185；此处不舍入中间值。\n");
    let file = IndexFile::load(catalogue, "security_index").expect("declared");
    let _ = writeln!(
        out,
        "\n产品中的指数由 `indices/security_index.toml`（版本 {}）声明，由 `zonglan model run security-index` 按市、区、街镇和周、月、季计算，\
        结果写入数据集 `security_index_score`。指标值折算为每三十天；满意值、不允许值是随版本固定的常数，从不取自当期数据，所以重算旧月份得到旧值。\
        分级：{} 分以上正常，{} 蓝，{} 黄，{} 橙，以下红；跨级须越过级界 {} 分；比上期下降超过 {} 分，或状况指标偏离前十二期均值 {} 个标准差以上，升一级；\
        人口不足 {} 或事件不足 {} 件只显示不着色。\n",
        file.version,
        file.grades.bands[0],
        file.grades.bands[1],
        file.grades.bands[2],
        file.grades.bands[3],
        file.grades.hysteresis,
        file.grades.fall,
        file.grades.z,
        file.grades.min_population,
        file.grades.min_count
    );
    out.push_str("来源：改进的功效系数法（教材）；指数型：彭非、袁卫、惠争勤 2007（未核对原文）；分级为指数分级，不是突发事件应对法（2024）第63条的预警级别。\n\n");
}

fn deadline(out: &mut String, catalogue: &Catalogue) {
    out.push_str("## 办案期限 `deadline`\n\n规则是 `deadlines/` 下的文件，每条期限写明起算、届满、延长、不计入、重新计算与条文。\
        期间开始之日不计入；月按对应日，没有对应日的到月末；期满日为节假日的顺延到其后第一个工作日，在押的不顺延（刑事诉讼法 105、法释〔2021〕1号 202）。\n\n");
    let one =
        json!({"rule": "R1", "trigger": "2026-01-10", "params": {"months": 2, "days": 0, "excl": 20, "roll": false}});
    body(out, "deadline", &one);
    let counted = ask(catalogue, "deadline", &one);
    let _ = writeln!(out, "期满日 {}。步骤：\n", counted["due"].as_str().unwrap_or_default());
    steps(out, &counted["explanation"]);
    let state = json!({"rule": "R8", "events": {"hearing_date": "2026-03-20", "indictment_copy_served": {"被告人": "2026-03-08", "辩护人": "2026-03-12"}, "summons_served": "2026-03-16"}, "as_of": "2026-03-18"});
    out.push_str("\n案件的状态按最后收到的收件人计算：\n\n");
    body(out, "deadline", &state);
    let judged = ask(catalogue, "deadline", &state);
    out.push_str("| 期限 | 期满日 | 状态 |\n|---|---|---|\n");
    for limit in judged["limits"].as_array().into_iter().flatten() {
        let text = |key: &str| limit[key].as_str().unwrap_or_default().to_string();
        let _ = writeln!(out, "| {} | {} | {} |", text("label"), text("due"), text("state"));
    }
    out.push_str("\n`zonglan model run deadline` 对声明的环节流（`streams/`）逐案判断，结果写入数据集 `deadline_state`；\
        行政处罚、依申请公开、隐患、诉件和吊证预警由 `zonglan model run matter-deadline` 判断，写入 `matter_deadline`，\
        其环节是登记行上的日期（`[[dated]]`），条件是事实（`[[fact]]`）。\
        只读取、重新判断有新数据或到了自身变化日的案件，只写变化的结果；临期、超期成为预警和任务，任务办结即确认预警，撤销即否定；\
        期限办结后预警和任务随之结束。\
        没有当年节假日安排时只按周末推算，结果标明“估算”。\n\n| 规则 | 名称 | 版本 | 状态 | 依据 |\n|---|---|---|---|---|\n");
    let rules = crate::deadline::Rules::load(catalogue).expect("valid");
    for rule in rules.iter() {
        let mut basis: Vec<&str> = rule.limit.iter().flat_map(|l| l.basis.iter().map(String::as_str)).collect();
        basis.extend(rule.threshold.iter().flat_map(|t| t.basis.iter().map(String::as_str)));
        let mut seen = std::collections::BTreeSet::new();
        basis.retain(|b| seen.insert(*b));
        let status = serde_json::to_value(rule.status).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            rule.name,
            rule.label.zh,
            rule.version,
            status.as_str().unwrap_or_default(),
            basis.join("；")
        );
    }
    out.push('\n');
}

fn steps(out: &mut String, list: &Value) {
    for step in list.as_array().into_iter().flatten() {
        let basis: Vec<&str> = step["basis"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let basis = if basis.is_empty() { String::new() } else { format!("（{}）", basis.join("、")) };
        let _ = writeln!(out, "- {}{basis}", step["step"].as_str().unwrap_or_default());
    }
}

fn influence(out: &mut String, catalogue: &Catalogue) {
    out.push_str("## 传播影响力 `wci`、`bci`\n\n公式是 `influence/` 下的文件，版本不同的值不放在一条趋势线上。\n\n");
    let wci = json!({"version": "14.2", "days": 7, "articles": 21, "reads": 210_000, "wows": 420, "likes": 840, "shares": 1260,
        "headline": {"articles": 7, "reads": 105_000, "wows": 210, "likes": 420, "shares": 630},
        "max": {"reads": 40_000, "wows": 90, "likes": 150, "shares": 300}});
    body(out, "wci", &wci);
    let _ = writeln!(out, "WCI V14.2 = {:.4}\n", number(&ask(catalogue, "wci", &wci)["value"]));
    for (version, name) in [("7", "七变量"), ("4", "四变量")] {
        let bci = json!({"version": version, "posts": 70, "original": 42, "reposts": 1500, "comments": 2100,
            "original_reposts": 1100, "original_comments": 1700, "likes": 9800});
        if version == "7" {
            body(out, "bci", &bci);
        }
        let _ = writeln!(out, "BCI {name} = {:.4}\n", number(&ask(catalogue, "bci", &bci)["value"]));
    }
}

fn discretion(out: &mut String, catalogue: &Catalogue) {
    out.push_str("## 裁量基准 `discretion`\n\n条件到幅度，每一步写明依据。\n\n");
    let one = json!({"matter": "street_stall", "facts": {"area": 5}});
    body(out, "discretion", &one);
    let found = ask(catalogue, "discretion", &one);
    let _ = writeln!(out, "幅度 {} 至 {} 元。\n", found["range"]["min"], found["range"]["max"]);
}

#[test]
fn the_document_shows_what_the_program_computes() {
    let catalogue = Catalogue::builtin().expect("the packs are valid");
    let mut text = String::from(
        "# 模型\n\n每个例子都由程序算出，`models/src/docs.rs` 保证本页与程序一致（`ZONGLAN_UPDATE=1` 重写）。\n\
        运行：页面「模型运行」（/models），`zonglan model run NAME`，或 `POST /api/v1/models/{model}/runs`。\
        一次运行记录规则版本、参数与每个输入数据集的数据版本；四者相同就是同一次运行。程序中断的运行在重启后继续；失败会通知管理员；\
        预警可确认或否定，确认数即效益。\n\n",
    );
    index(&mut text, &catalogue);
    deadline(&mut text, &catalogue);
    influence(&mut text, &catalogue);
    discretion(&mut text, &catalogue);
    text.push_str("## 情感 `sentiment`\n\n对文本、不对作者。用 `zonglan model train` 训练，`zonglan model show` 显示数据卡与留出集成绩。\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/models.md");
    if std::env::var_os("ZONGLAN_UPDATE").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/models.md is not what the program computes; run with ZONGLAN_UPDATE=1");
    // Published figures, so that an error in the program does not become the document.
    for figure in [
        "| A | 90.486 | 96.800 | 93.012 | 92.946 | 91.557 | 95.243 |",
        "| C | 65.268 | 73.600 | 68.601 | 68.276 | 67.246 | 71.767 |",
        "91.835 |",
        "68.173 |",
        "73.848 |",
        "82.184 |",
        "990.6488",
        "1088.0618",
        "1137.8355",
        "2026-03-30",
    ] {
        assert!(text.contains(figure), "{figure} is not in the document");
    }
}
