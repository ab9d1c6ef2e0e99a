//! Starting and stopping the service.

use crate::app::{App, Opening};
use crate::config::Config;
use crate::{demo, follow, imports, jobs, live};
use anyhow::{Context, bail};
use axum::serve::ListenerExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use zonglan_catalog::traits::SystemClock;
use zonglan_ingest::Follower;

/// Serves until SIGINT or SIGTERM.
pub async fn run(mut config: Config, demo: bool) -> anyhow::Result<()> {
    config.data.dir = std::path::absolute(&config.data.dir)?;
    let made = demo::prepare(&config.data.dir, demo)?;
    let listener = TcpListener::bind(&config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let address = format!("http://{}", listener.local_addr()?);
    let app = App::open(Opening { config, clock: Arc::new(SystemClock), demo: demo || made, address: address.clone() })
        .await?;
    let follower = Arc::new(Follower::new(app.catalogue(), app.sinks()));
    if demo && !made {
        demo::make(&app, &follower).await?;
    }
    let resumed = {
        let app = app.clone();
        tokio::task::spawn_blocking(move || imports::resume(&app)).await?.map_err(|error| anyhow::anyhow!("{error}"))?
    };
    for report in resumed {
        tracing::info!(import.batch = %report.batch_id, import.rows = report.loaded, "interrupted import finished");
    }
    jobs::register(&app);
    app.store.jobs.start().await?;
    crate::reindex::start(&app, &follower).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    crate::engine::resume(&app).await.map_err(|error| anyhow::anyhow!("{}", error.0))?;
    let following: Vec<_> =
        app.sinks().into_iter().map(|sink| tokio::spawn(follow::follow(app.clone(), follower.clone(), sink))).collect();
    tokio::spawn(crate::attaching::run(app.clone()));
    tokio::spawn(live::tick(app.clone()));
    tokio::spawn(live::remind(app.clone()));
    tokio::spawn(crate::searching::watch(app.clone()));
    tokio::spawn(crate::engine::scheduler(app.clone()));
    tokio::spawn(live::check_rollups(app.clone()));
    tokio::spawn(live::watch_catalogue(app.clone(), follower.clone()));
    tokio::spawn(crate::monitor::run(app.clone()));
    if demo {
        tokio::spawn(demo::live(app.clone()));
    }
    sign_ins(&app, demo).await?;
    let stopping = app.stopping.clone();
    tokio::spawn({
        let stopping = stopping.clone();
        async move {
            signal().await;
            tracing::info!("stopping");
            stopping.cancel();
        }
    });
    // Scripts and tests wait for this line.
    println!("listening on {address}");
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let service = crate::router::router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let drain = Duration::from_secs(app.config.server.drain_s);
    let server = axum::serve(listener, service).with_graceful_shutdown(stopping.clone().cancelled_owned());
    tokio::select! {
        ended = server => ended?,
        () = async { stopping.cancelled().await; tokio::time::sleep(drain).await } => {
            tracing::warn!(drain_s = drain.as_secs(), "requests were still open and have been cut");
        }
    }
    // The stores end where the records end, so that `zonglan verify` finds them equal.
    for task in following {
        drop(task.await);
    }
    if let Err(error) = follow::catch_up(&app, &follower).await {
        tracing::warn!(error = %error, "the stores have not caught up; they will at the next start");
    }
    app.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Makes the demo city and ends.
pub async fn make_demo(mut config: Config) -> anyhow::Result<()> {
    config.data.dir = std::path::absolute(&config.data.dir)?;
    if demo::prepare(&config.data.dir, true)? {
        bail!("{} holds a demo city already; choose another --data or remove it", config.data.dir.display());
    }
    let app =
        App::open(Opening { config, clock: Arc::new(SystemClock), demo: true, address: "zonglan demo".into() }).await?;
    let follower = Arc::new(Follower::new(app.catalogue(), app.sinks()));
    demo::make(&app, &follower).await?;
    app.close().await;
    Ok(())
}

/// Makes the first accounts and says how to sign in: all logins in a demo, otherwise only a
/// one-time password at the first start.
async fn sign_ins(app: &App, demo: bool) -> anyhow::Result<()> {
    if demo {
        let given = std::env::var("ZONGLAN_DEMO_PASSWORD").ok().filter(|p| !p.is_empty());
        let password = match given {
            Some(password) => password,
            None => crate::store::random_password()?,
        };
        let users = app.store.identity.ensure_demo_users(&password).await?;
        println!("demo logins (password {password}):");
        for user in users {
            println!("  {:<16} {} {}", user.username, user.roles.join(","), user.regions.join(","));
        }
    } else if let Some(password) = app.store.identity.ensure_admin().await? {
        println!("first start: sign in as admin with the one-time password {password}");
    }
    Ok(())
}

async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
