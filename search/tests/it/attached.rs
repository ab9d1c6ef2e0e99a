//! Texts of attached files: found with their record, by whoever sees it, until they are gone.

use crate::city::{City, everyone, person, request, row, text};
use std::sync::{Arc, Mutex};
use zonglan_catalog::error::Result;
use zonglan_catalog::search::SearchRequest;
use zonglan_catalog::{SearchPage, Value};
use zonglan_search::attached::{Attached, Attachments, FIELD};

/// Files by record.
#[derive(Default)]
struct Files(Mutex<Vec<(&'static str, Attached)>>);

impl Attachments for Files {
    fn of(&self, dataset: &str, id: &str) -> Result<Vec<Attached>> {
        assert_eq!(dataset, "dossier");
        let files = self.0.lock().expect("unpoisoned");
        Ok(files.iter().filter(|(of, _)| *of == id).map(|(_, f)| f.clone()).collect())
    }
}

impl Files {
    fn add(&self, id: &'static str, file: i64, name: &str, text: &str) {
        let attached = Attached { file, name: name.into(), text: text.into() };
        self.0.lock().expect("unpoisoned").push((id, attached));
    }
}

fn ask(city: &City, district: &str, query: &str) -> SearchPage {
    let request = SearchRequest { dataset: "dossier".into(), ..request(query) };
    let who = if district.is_empty() { everyone() } else { person("plain", district) };
    city.ask(&who, &request)
}

#[test]
fn files_are_found_with_their_record() {
    let city = City::new();
    let files = Arc::new(Files::default());
    city.indexes.set_attachments(files.clone());
    let record = |id: &str, name: &str, district: &str| {
        let amount = Value::Decimal { units: 12_345, scale: 2 };
        row(id, &[("name", text(name)), ("district", text(district)), ("amount", amount)])
    };
    let (a, b) = (record("a", "甲案卷宗", "310104"), record("b", "乙案卷宗", "310105"));
    city.put("dossier", &[a.clone(), b], None);
    let dataset = city.catalogue.dataset("dossier").expect("there").clone();
    assert_eq!(ask(&city, "", "\"勘验笔录\"").total, 0);

    files.add("a", 7, "现场图.txt", "一、现场位于桥东。\n二、无异常。");
    files.add("a", 8, "勘验.pdf", "前言。勘验笔录记载：门锁完好。");
    city.indexes.refresh(&dataset, "a").expect("refreshes");
    let page = ask(&city, "", "\"勘验笔录\"");
    assert_eq!(page.total, 1);
    let hit = &page.hits[0];
    assert_eq!(hit.id, "a");
    // Values are as they were written.
    assert_eq!(hit.fields["amount"], Value::Decimal { units: 12_345, scale: 2 });
    let passage = hit.highlights.iter().find(|p| p.field == FIELD).expect("a passage of the file");
    let file = passage.file.as_ref().expect("which file");
    assert_eq!((file.id, file.name.as_str()), (8, "勘验.pdf"));
    let (from, to) = passage.marks[0];
    assert_eq!(passage.text.chars().skip(from).take(to - from).collect::<String>(), "勘验笔录");

    // In a sentence, by the name of the file, in the field, with words of the record.
    assert_eq!(ask(&city, "", "勘验 /s 门锁").total, 1);
    assert_eq!(ask(&city, "", "勘验 /s 桥东").total, 0);
    assert_eq!(ask(&city, "", "\"现场图.txt\"").total, 1);
    assert_eq!(ask(&city, "", "附件:门锁").total, 1);
    assert_eq!(ask(&city, "", "附件:甲案").total, 0);
    assert_eq!(ask(&city, "", "\"甲案\" 且 \"门锁\"").total, 1);
    // No phrase spans two files.
    assert_eq!(ask(&city, "", "\"无异常。勘验\"").total, 0);
    // Whoever does not see the record finds nothing of its files.
    assert_eq!(ask(&city, "310104", "\"勘验笔录\"").total, 1);
    assert_eq!(ask(&city, "310105", "\"勘验笔录\"").total, 0);

    // A change of the record keeps them; the same again writes nothing.
    let changed = city.put("dossier", &[record("a", "甲案卷宗（补）", "310104")], None);
    assert_eq!(changed.updated, 1);
    assert_eq!(ask(&city, "", "\"勘验笔录\"").total, 1);
    assert_eq!(city.put("dossier", &[record("a", "甲案卷宗（补）", "310104")], None).unchanged, 1);

    files.0.lock().expect("unpoisoned").retain(|(_, f)| f.file != 8);
    city.indexes.refresh(&dataset, "a").expect("refreshes");
    assert_eq!(ask(&city, "", "\"勘验笔录\"").total, 0);
    assert_eq!(ask(&city, "", "\"桥东\"").total, 1);
    // A record that is not there yet brings its files when it comes.
    files.add("c", 9, "附卷.txt", "丙案的证言。");
    city.indexes.refresh(&dataset, "c").expect("nothing to do");
    city.put("dossier", &[record("c", "丙案卷宗", "310104")], None);
    assert_eq!(ask(&city, "", "\"证言\"").total, 1);
}
