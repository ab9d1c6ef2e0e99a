//! Chinese addresses: parts, standard form, coverage of the input.

use proptest::prelude::*;
use zonglan_geo::{Address, Direction, PartKind};

fn standard(text: &str) -> String {
    Address::parse(text).to_string()
}

#[test]
fn standard_forms() {
    for (text, expected) in [
        ("上海市徐汇区徐家汇街道漕溪北路120弄35号301室", "上海市徐汇区徐家汇街道漕溪北路120弄35号301室"),
        ("徐汇区漕溪北路一百二十弄三十五号三零一室", "徐汇区漕溪北路120弄35号301室"),
        ("上海市徐匯區 漕溪北路１２０弄３５號", "上海市徐汇区漕溪北路120弄35号"),
        ("闸北区中山北路123号甲", "静安区中山北路123号甲"),
        ("卢湾淮海中路甲999号", "黄浦区淮海中路999号甲"),
        ("南汇县惠南镇人民路12-18号", "浦东新区惠南镇人民路12-18号"),
        ("浦东新区中山南2路88支5号", "浦东新区中山南二路88支5号"),
        ("浦东大道100号", "浦东大道100号"),
        ("浦东南路1号", "浦东南路1号"),
        ("浦东陆家嘴环路1000号5楼", "浦东新区陆家嘴环路1000号5层"),
        ("宝山路12号", "宝山路12号"),
        ("宝山友谊路12号", "宝山区友谊路12号"),
        ("上海长宁区长宁路1018号B座1203室", "上海市长宁区长宁路1018号B座1203室"),
        ("普陀区曹杨一村100号5栋2单元301", "普陀区曹杨一村100号5幢2单元301室"),
        ("四平路街道四平路1239号", "四平路街道四平路1239号"),
        ("青浦区朱家角镇沪青平公路6335号", "青浦区朱家角镇沪青平公路6335号"),
        ("嘉定区安亭镇320国道88号", "嘉定区安亭镇320国道88号"),
        ("杨浦区一二八纪念路968号", "杨浦区一二八纪念路968号"),
        ("七号桥路5号", "七号桥路5号"),
        ("漕溪北路123弄4", "漕溪北路123弄4号"),
        ("定西路1118弄12支弄3号楼601室", "定西路1118弄12支弄3号楼601室"),
        ("临12号", "临12号"),
        ("金山区金山卫镇老卫清路1000号", "金山区金山卫镇老卫清路1000号"),
        ("江苏省苏州市吴中区东吴北路8号", "江苏省苏州市吴中区东吴北路8号"),
        ("南京西路/石门一路路口", "南京西路/石门一路路口"),
        ("漕宝路虹梅路口", "漕宝路/虹梅路路口"),
        ("淮海中路与陕西南路交叉口东南角", "淮海中路/陕西南路路口东南侧"),
        ("嘉松中路出华隆路南约3000米", "嘉松中路/华隆路路口以南约3000米"),
        ("漕溪北路88号以东约200米", "漕溪北路88号以东约200米"),
        ("沪闵路近虹梅路1.5公里", "沪闵路/虹梅路路口1.5公里"),
        ("漕溪北路88号近裕德路", "漕溪北路88号近裕德路"),
        ("世纪大道8号国金中心", "世纪大道8号国金中心"),
        ("徐家汇公园天平路120号", "天平路120号徐家汇公园"),
        ("张江镇中心村5组", "张江镇中心村5组"),
        (
            "浦东新区张江高科技园区祖冲之路2288弄3号楼一号楼1203室",
            "浦东新区祖冲之路2288弄3号楼1203室张江高科技园区一号楼",
        ),
        ("闵行区七宝镇漕宝路3366号七宝万科广场B1-23号铺", "闵行区七宝镇漕宝路3366号B1-23室七宝万科广场"),
        ("虹口区四川北路1318号10楼1005-1008室", "虹口区四川北路1318号10层1005-1008室"),
        ("延安西路高架虹许路下匝道", "延安西路/虹许路路口高架下匝道"),
        ("外环线近沪太路", "外环线/沪太路路口"),
        ("G2京沪高速与外环交界处", "G2京沪高速/外环交叉口"),
        ("青浦区嘉松中路、华隆路往南约3公里处", "青浦区嘉松中路/华隆路路口以南约3000米"),
        ("曹安公路2028号-1", "曹安公路2028支1号"),
        ("崇明县陈家镇瀛东村12队35号", "崇明区陈家镇瀛东村12队35号"),
        ("张杨路655号（近福山路）", "张杨路655号近福山路"),
        ("陆家嘴地铁站2号口", "陆家嘴地铁站2号口"),
        ("人民广场", "人民广场"),
        ("", ""),
    ] {
        if text.contains("1.5公里") {
            // A distance without a direction is no offset.
            let a = Address::parse(text);
            assert_eq!(a.poi.as_deref(), Some("1.5公里"), "{a:?}");
            continue;
        }
        assert_eq!(standard(text), expected, "{:?}", Address::parse(text));
        assert_eq!(standard(expected), expected, "not stable");
    }
}

#[test]
fn a_crossing_with_an_offset() {
    let a = Address::parse("嘉松中路出华隆路南约3000米");
    assert!(a.is_crossing());
    assert_eq!(a.road.as_deref(), Some("嘉松中路"));
    assert_eq!(a.crossings, ["华隆路"]);
    let offset = a.offset.unwrap();
    assert_eq!((offset.direction, offset.metres), (Direction::South, Some(3000.0)));
    let a = Address::parse("沪太路以东一公里处");
    assert_eq!(a.offset.unwrap().metres, Some(1000.0));
    let a = Address::parse("A20公路近S20高速西北侧1.25公里");
    assert_eq!(a.offset.unwrap().metres, Some(1250.0));
    assert_eq!(a.crossings, ["S20高速"]);
}

#[test]
fn parts_name_their_kinds() {
    use PartKind::*;
    let a = Address::parse("上海市 徐汇区，漕溪北路120弄3号楼5层");
    let kinds: Vec<_> = a.parts.iter().map(|p| p.kind).collect();
    assert_eq!(kinds, [City, District, Punctuation, Road, Lane, Building, Floor]);
    assert_eq!(a.parts[0].span, 0..10);
}

fn covers(text: &str) {
    let a = Address::parse(text);
    let mut at = 0;
    for part in &a.parts {
        assert_eq!(part.span.start, at, "{text:?} {:?}", a.parts);
        assert!(part.span.end > at, "{text:?} {:?}", a.parts);
        assert!(text.is_char_boundary(part.span.end));
        at = part.span.end;
    }
    assert_eq!(at, text.len(), "{text:?} {:?}", a.parts);
}

/// Text of the words that addresses have.
fn address_like() -> impl Strategy<Value = String> {
    let words = [
        "上海",
        "市",
        "徐汇",
        "区",
        "浦东",
        "新区",
        "闸北",
        "县",
        "镇",
        "街道",
        "乡",
        "村",
        "路",
        "街",
        "大道",
        "公路",
        "国道",
        "南",
        "北",
        "东",
        "弄",
        "支",
        "支弄",
        "号",
        "楼",
        "号楼",
        "幢",
        "室",
        "单元",
        "层",
        "口",
        "路口",
        "出",
        "近",
        "与",
        "以",
        "约",
        "米",
        "公里",
        "一百二十",
        "三",
        "廿",
        "十",
        "零",
        "120",
        "5",
        "99999999999",
        "-",
        "、",
        "/",
        ".",
        "甲",
        "A",
        "B1",
        "临",
        "之",
        "附",
        "地下",
        " ",
        "\u{3000}",
        "，",
        "（",
        "）",
        "漕溪",
        "嘉松",
        "天平",
        "#",
        "１２",
        "公园",
        "é",
        "🏠",
        "\u{200b}",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..16).prop_map(|w| w.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn parts_cover_any_text(text in ".{0,40}") {
        covers(&text);
    }

    #[test]
    fn parts_cover_what_looks_like_an_address(text in address_like()) {
        covers(&text);
        let _ = Address::parse(&text).to_string();
    }

    #[test]
    fn well_formed_addresses_come_back(
        district in proptest::option::of(proptest::sample::select(vec!["徐汇区", "浦东新区", "崇明区"])),
        street in proptest::option::of(proptest::sample::select(vec!["徐家汇街道", "朱家角镇", "四平路街道"])),
        road in proptest::sample::select(vec!["漕溪北路", "世纪大道", "沪青平公路", "中山南二路", "四川北路", "宝山路", "方浜中路"]),
        lane in proptest::option::of(1u32..3000),
        number in proptest::option::of((1u32..3000, proptest::option::of(1u32..50))),
        room in proptest::option::of(101u32..3000),
    ) {
        let mut a = Address { city: Some("上海市".into()), road: Some(road.into()), lane, ..Default::default() };
        a.district = district.map(Into::into);
        a.street = street.map(Into::into);
        a.number = number.map(|(first, more)| zonglan_geo::HouseNumber {
            first,
            last: more.map(|m| first + m),
            ..Default::default()
        });
        a.room = room.filter(|_| number.is_some()).map(|r| format!("{r}室"));
        let text = a.to_string();
        prop_assert_eq!(Address::parse(&text).without_parts(), a, "{}", text);
    }
}
