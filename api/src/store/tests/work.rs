//! Jobs and notices.

use super::*;
use async_trait::async_trait;
use serde_json::json;
use std::time::Duration;
use zonglan_catalog::Error;
use zonglan_catalog::traits::{Notice, Notifier};

struct Counter {
    resumable: bool,
}

#[async_trait]
impl JobHandler for Counter {
    async fn run(&self, job: JobContext, params: Json) -> Result<Json> {
        let steps = params["steps"].as_u64().unwrap_or(1);
        for i in 0..steps {
            if job.cancel.is_cancelled() {
                return Err(Error::user("test", "stopped"));
            }
            job.progress(i as f64 / steps as f64, format!("第 {i} 步"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match params["fail"].as_str() {
            Some("panic") => panic!("as asked"),
            Some(why) => Err(Error::user("test", why)),
            None => Ok(json!({ "steps": steps })),
        }
    }

    fn resumable(&self) -> bool {
        self.resumable
    }
}

async fn over(jobs: &Jobs, id: i64) -> Job {
    for _ in 0..400 {
        let job = jobs.get(id).await.expect("there");
        if job.state.is_over() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("job {id} does not end");
}

#[tokio::test]
async fn jobs_end_as_they_should() {
    let rig = rig().await;
    let jobs = &rig.store.jobs;
    jobs.register("count", Arc::new(Counter { resumable: false }));
    let submit = |params| jobs.submit("wang", "count", "数数", params);
    let good = submit(json!({"steps": 3})).await.expect("queued").id;
    let bad = submit(json!({"fail": "第 3 行有误"})).await.expect("queued").id;
    let panics = submit(json!({"fail": "panic"})).await.expect("queued").id;
    let done = over(jobs, good).await;
    assert_eq!((done.state, done.progress, done.result), (JobState::Done, 1.0, Some(json!({"steps": 3}))));
    let failed = over(jobs, bad).await;
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("第 3 行有误")));
    let failed = over(jobs, panics).await;
    assert!(failed.state == JobState::Failed && !failed.error.expect("told").contains("as asked"));

    let long = submit(json!({"steps": 100_000})).await.expect("queued").id;
    let mut message = String::new();
    while message.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        message = jobs.get(long).await.expect("there").message;
    }
    jobs.cancel(long).await.expect("asked");
    assert_eq!(over(jobs, long).await.state, JobState::Cancelled);
    assert_eq!(jobs.list(Some("wang"), 10).await.expect("list").len(), 4);
    assert!(jobs.list(Some("li"), 10).await.expect("list").is_empty());
    assert!(jobs.submit("wang", "nope", "x", json!({})).await.is_err());
}

#[test]
fn a_restart_resumes_or_tells() {
    let dir = tempfile::tempdir().expect("temp dir");
    let clock = Arc::new(TestClock(AtomicI64::new(START)));
    let runtime = || tokio::runtime::Runtime::new().expect("runtime");
    let (path, c) = (dir.path().to_path_buf(), clock.clone());
    let first = runtime();
    let (goes_on, lost) = first.block_on(async move {
        let store = open(&path, c).await.expect("opens");
        store.jobs.register("resumable", Arc::new(Counter { resumable: true }));
        store.jobs.register("once", Arc::new(Counter { resumable: false }));
        let goes_on = store.jobs.submit("wang", "resumable", "x", json!({"steps": 50})).await.expect("queued").id;
        let lost = store.jobs.submit("wang", "once", "x", json!({"steps": 100_000})).await.expect("queued").id;
        while store.jobs.get(lost).await.expect("there").state == JobState::Queued {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (goes_on, lost)
    });
    first.shutdown_timeout(Duration::from_secs(5));
    runtime().block_on(async {
        let store = open(dir.path(), clock).await.expect("opens again");
        store.jobs.register("resumable", Arc::new(Counter { resumable: true }));
        store.jobs.register("once", Arc::new(Counter { resumable: false }));
        store.jobs.start().await.expect("taken up");
        assert_eq!(over(&store.jobs, lost).await.state, JobState::Interrupted);
        assert_eq!(over(&store.jobs, goes_on).await.state, JobState::Done);
    });
}

#[tokio::test]
async fn notices_come_once_and_are_read() {
    let rig = rig().await;
    let notices = &rig.store.notices;
    let notice = |key: &str| Notice {
        to: "wang".into(),
        title: "检查到期".into(),
        body: "和平饭店".into(),
        link: Some("/records/premises".into()),
        key: key.into(),
    };
    for key in ["a", "a", "b"] {
        notices.notify(&notice(key)).await.expect("told");
    }
    assert_eq!(notices.unread("wang").await.expect("count"), 2);
    let list = notices.list("wang", 10).await.expect("list");
    notices.mark_read("li", Some(list[0].id)).await.expect("no effect on others' notices");
    notices.mark_read("wang", Some(list[0].id)).await.expect("read");
    assert_eq!(notices.unread("wang").await.expect("count"), 1);
    notices.mark_read("wang", None).await.expect("all read");
    assert_eq!(notices.unread("wang").await.expect("count"), 0);
}
