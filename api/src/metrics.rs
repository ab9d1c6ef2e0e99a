//! Counters of the running program and their Prometheus text form.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the latency buckets in seconds.
const BUCKETS: [f64; 8] = [0.01, 0.05, 0.1, 0.4, 1.0, 3.0, 5.0, 30.0];

/// Everything that `/metrics` shows and that is counted while it happens.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(String, String, u16), Latency>>,
    pub answers_hit: AtomicU64,
    pub answers_miss: AtomicU64,
    pub frames_hit: AtomicU64,
    pub frames_miss: AtomicU64,
    pub queries_refused: AtomicU64,
    pub sign_ins_failed: AtomicU64,
    /// Open streams of live data.
    pub streams: AtomicI64,
    pub follower_blocks: AtomicU64,
    pub follower_errors: AtomicU64,
}

#[derive(Debug, Default, Clone)]
struct Latency {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// Requests of a route since the start.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Traffic {
    pub count: u64,
    /// Answers that blame the server: 500 and above.
    pub failed: u64,
    pub seconds: f64,
}

impl Traffic {
    pub fn add(&mut self, other: &Traffic) {
        self.count += other.count;
        self.failed += other.failed;
        self.seconds += other.seconds;
    }

    pub fn since(&self, before: Option<&Traffic>) -> Traffic {
        let before = before.copied().unwrap_or_default();
        Traffic {
            count: self.count.saturating_sub(before.count),
            failed: self.failed.saturating_sub(before.failed),
            seconds: self.seconds - before.seconds,
        }
    }
}

impl Metrics {
    /// Requests by route.
    pub fn traffic(&self) -> BTreeMap<String, Traffic> {
        let requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut routes: BTreeMap<String, Traffic> = BTreeMap::new();
        for ((method, route, status), latency) in requests.iter() {
            let failed = if *status >= 500 { latency.count } else { 0 };
            routes.entry(format!("{method} {route}")).or_default().add(&Traffic {
                count: latency.count,
                failed,
                seconds: latency.seconds,
            });
        }
        routes
    }

    /// Counts one request by its route (not its path, which is unbounded).
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let latency = requests.entry((method.to_string(), route.to_string(), status)).or_default();
        latency.count += 1;
        latency.seconds += seconds;
        for (bucket, bound) in latency.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// The text exposition, with `gauges` (name, labels, value) of the moment.
    pub fn text(&self, gauges: &[(&str, String, f64)]) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "# TYPE zonglan_http_request_seconds histogram");
        let requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        for ((method, route, status), latency) in &requests {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            for (count, bound) in latency.buckets.iter().zip(BUCKETS) {
                let _ = writeln!(text, "zonglan_http_request_seconds_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(text, "zonglan_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}", latency.count);
            let _ = writeln!(text, "zonglan_http_request_seconds_sum{{{labels}}} {}", latency.seconds);
            let _ = writeln!(text, "zonglan_http_request_seconds_count{{{labels}}} {}", latency.count);
        }
        let counters = [
            ("zonglan_answers_cache_hits_total", &self.answers_hit),
            ("zonglan_answers_cache_misses_total", &self.answers_miss),
            ("zonglan_frames_cache_hits_total", &self.frames_hit),
            ("zonglan_frames_cache_misses_total", &self.frames_miss),
            ("zonglan_queries_refused_total", &self.queries_refused),
            ("zonglan_sign_ins_failed_total", &self.sign_ins_failed),
            ("zonglan_follower_blocks_total", &self.follower_blocks),
            ("zonglan_follower_errors_total", &self.follower_errors),
        ];
        for (name, value) in counters {
            let _ = writeln!(text, "# TYPE {name} counter\n{name} {}", value.load(Relaxed));
        }
        let _ = writeln!(text, "# TYPE zonglan_streams gauge\nzonglan_streams {}", self.streams.load(Relaxed));
        let mut last = "";
        for (name, labels, value) in gauges {
            if *name != last {
                let _ = writeln!(text, "# TYPE {name} gauge");
                last = name;
            }
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
        text
    }
}

/// Bytes of memory that the process holds, from `/proc`; 0 where there is none.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative() {
        let metrics = Metrics::default();
        metrics.request("GET", "/boards/{name}", 200, Duration::from_millis(70));
        metrics.request("GET", "/boards/{name}", 200, Duration::from_secs(60));
        let text = metrics.text(&[("zonglan_dataset_rows", "dataset=\"incident\"".into(), 5.0)]);
        assert!(text.contains("status=\"200\",le=\"0.05\"} 0"), "{text}");
        assert!(text.contains("status=\"200\",le=\"0.1\"} 1"), "{text}");
        assert!(text.contains("status=\"200\",le=\"+Inf\"} 2"), "{text}");
        assert!(text.contains("zonglan_dataset_rows{dataset=\"incident\"} 5"), "{text}");
    }
}
