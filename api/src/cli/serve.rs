//! `zonglan serve`

use super::{Common, block_on, log};
use clap::Args;

#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Serve the generated demo city; it is made at the first start
    #[arg(long)]
    demo: bool,
}

pub fn run(common: &Common, args: Serve) -> anyhow::Result<()> {
    let mut config = common.resolve(args.demo)?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    log(&config)?;
    block_on(crate::serve::run(config, args.demo))
}
