//! The HTTP interface is a snapshot: a change of it is seen in review.

#[test]
fn the_openapi_document_is_as_agreed() {
    let mut document: serde_json::Value =
        serde_json::from_str(zonglan_api::router::openapi_json()).expect("the document is JSON");
    document["info"]["version"] = "[version]".into();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "OpenAPI 3.1");
    insta::with_settings!({snapshot_path => "snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_json_snapshot!("openapi", document);
    });
}

#[test]
fn every_operation_is_named_once_and_described() {
    let document: serde_json::Value =
        serde_json::from_str(zonglan_api::router::openapi_json()).expect("the document is JSON");
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let name = operation["operationId"].as_str().unwrap_or_default();
            let plain =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            assert!(plain && names.insert(name.to_string()), "{method} {path}: {name}");
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
        }
    }
}
