//! Refuses to build without the bundled scripts, and says how to make them.

fn main() {
    let dist = std::path::Path::new("web/dist");
    println!("cargo::rerun-if-changed=web/dist");
    println!("cargo::rerun-if-changed=templates");
    let missing: Vec<&str> = [
        "app.css",
        "board.css",
        "board.js",
        "search.js",
        "explore.js",
        "import.js",
        "records.js",
        "tasks.js",
        "app.js",
        "api.js",
    ]
    .into_iter()
    .filter(|name| !dist.join(name).is_file())
    .collect();
    if !missing.is_empty() {
        println!(
            "cargo::error=the pages' scripts are not built ({} missing in dashboards/web/dist): run ./run, or `npm ci && npm run build` in dashboards/web",
            missing.join(", ")
        );
    }
}
