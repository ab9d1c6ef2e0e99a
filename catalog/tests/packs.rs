//! The declared files of the packs: they load without problems and say what pages rely on.

use zonglan_catalog::Catalogue;
use zonglan_catalog::dataset::{Aggregate, FieldType, Source};

fn catalogue() -> Catalogue {
    Catalogue::builtin().unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_pack_loads_alone_and_together() {
    catalogue();
    for pack in ["base", "police", "politics_law", "urban_management", "governance"] {
        // Boards draw on several systems and registers name the roles of others, so a pack alone is
        // tested without them.
        if let Err(errors) = Catalogue::load(&[pack.to_string()], &[]) {
            let alone = |p: &&zonglan_catalog::load::Problem| {
                !p.file.contains("boards/") && !p.message.starts_with("unknown role")
            };
            let own: Vec<_> = errors.0.iter().filter(alone).collect();
            assert!(own.is_empty(), "{pack}: {own:?}");
        }
    }
}

#[test]
fn the_datasets_of_the_foundation_are_there() {
    let catalogue = catalogue();
    for name in [
        "incident",
        "request",
        "case",
        "case_event",
        "judgment",
        "statute",
        "enforcement_case",
        "premises",
        "inspection",
        "fire_incident",
        "dispute",
        "media_account",
        "media_post",
        "population",
        "duty_roster",
        "weather",
    ] {
        let dataset = catalogue.dataset(name).unwrap_or_else(|| panic!("no dataset {name}"));
        assert!(!dataset.label.zh.is_empty() && !dataset.label.en.is_empty(), "{name}");
        assert!(
            dataset.measure.iter().any(|m| m.agg == Aggregate::Count || m.agg == Aggregate::Sum),
            "{name} has no figure"
        );
        for field in &dataset.field {
            assert!(!field.label.zh.is_empty() && !field.label.en.is_empty(), "{name}.{}", field.name);
        }
    }
    assert_eq!(catalogue.dataset("premises").map(|d| d.source), Some(Source::Records));
    assert_eq!(catalogue.children("premises").map(|d| d.name.as_str()).collect::<Vec<_>>(), ["inspection"]);
    assert_eq!(
        catalogue.children("case").map(|d| d.name.as_str()).collect::<Vec<_>>(),
        ["case_event", "deadline_state"]
    );
}

#[test]
fn measures_of_people_divide_by_residents() {
    let catalogue = catalogue();
    for name in ["incident", "request", "case", "dispute", "enforcement_case"] {
        let (_, measure) = catalogue.measure(name, "per_10k").unwrap_or_else(|| panic!("{name}.per_10k"));
        assert_eq!(
            (measure.denominator.as_deref(), measure.factor),
            (Some("population.residents"), Some(10_000)),
            "{name}"
        );
    }
    let population = catalogue.dataset("population").expect("population");
    assert_eq!(population.time, None, "residents stand in every range");
}

#[test]
fn former_districts_map_to_present_ones() {
    let catalogue = catalogue();
    let regions = catalogue.codes("region").expect("region list");
    for (old, new) in [
        ("310103", "310101"),
        ("310108", "310106"),
        ("310119", "310115"),
        ("310230", "310151"),
        ("闸北区", "310106"),
        ("浦东", "310115"),
    ] {
        assert_eq!(regions.resolve(old).map(|i| i.code.as_str()), Some(new), "{old}");
    }
    let districts: Vec<_> =
        regions.item.iter().filter(|i| i.code.len() == 6 && i.parent.is_some() && i.replaced_by.is_none()).collect();
    assert_eq!(districts.len(), 16);
    for street in regions.item.iter().filter(|i| i.code.len() == 9) {
        assert_eq!(street.parent.as_deref(), street.code.get(..6), "{}", street.code);
    }
}

#[test]
fn callers_and_contacts_are_personal() {
    let catalogue = catalogue();
    for (dataset, field) in [
        ("incident", "caller_name"),
        ("incident", "caller_phone"),
        ("request", "caller_name"),
        ("request", "caller_phone"),
        ("premises", "contact_name"),
        ("premises", "contact_phone"),
    ] {
        let field =
            catalogue.dataset(dataset).and_then(|d| d.field(field)).unwrap_or_else(|| panic!("{dataset}.{field}"));
        assert_eq!(field.sensitivity, zonglan_catalog::dataset::Sensitivity::Personal);
        assert_eq!(field.kind, FieldType::Text);
        assert_eq!(field.search, zonglan_catalog::dataset::SearchMode::None, "personal fields are not searched");
    }
    for role in catalogue.policy().roles() {
        assert!(
            !role.clear.contains(&zonglan_catalog::dataset::Sensitivity::Personal),
            "{} sees personal fields without a grant",
            role.name
        );
    }
    let names: Vec<_> = catalogue.policy().roles().iter().map(|r| r.name.as_str()).collect();
    for role in ["leader", "analyst", "legal", "clerk", "auditor", "admin"] {
        assert!(names.contains(&role), "{role}");
    }
}

/// Working days a year of domain rules section F.
#[test]
fn working_days_of_the_years() {
    let catalogue = catalogue();
    let calendar = catalogue.calendar();
    for (year, expect) in
        [(2019, 250), (2020, 249), (2021, 250), (2022, 249), (2023, 249), (2024, 251), (2025, 248), (2026, 248)]
    {
        let first = chrono::NaiveDate::from_ymd_opt(year, 1, 1).expect("date");
        let days = first
            .iter_days()
            .take_while(|d| d.format("%Y").to_string() == year.to_string())
            .filter(|d| calendar.is_workday(*d))
            .count();
        assert!(calendar.knows(year));
        assert_eq!(days, expect, "{year}");
    }
}
