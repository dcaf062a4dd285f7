//! `harness kit`: puts our contender, and our upstream if asked to, into a checkout of the public
//! harness; takes them out; or prints what that would change.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::kit::{Change, Checkout, Kit};
use testbed::state;
use testbed::terminal::print;

/// Options of `harness kit`.
#[derive(Args, Debug)]
pub(super) struct KitOptions {
    /// A checkout of the public harness, RogerThomas/api-benchmarks on GitHub
    #[arg(value_name = "DIR")]
    checkout: PathBuf,
    /// Put our upstream in place of the checkout's too
    #[arg(long, conflicts_with = "remove")]
    upstream: bool,
    /// Take out what the kit brought, to the byte
    #[arg(long)]
    remove: bool,
    /// Change nothing: print the changes as a patch for `git apply`
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// This is no checkout of the suite, that is none of the public harness, or a file there was
/// edited or has changed shape. Then nothing was changed.
pub(super) fn kit(options: &KitOptions) -> Result<()> {
    let checkout = Checkout::at(&options.checkout)?;
    let suite = state::checkout()
        .context("the kit is made from a checkout of the suite: run this inside of one")?;
    let kit = Kit::of(&suite)?;
    let changes = match options.remove {
        true => checkout.remove(&kit)?,
        false => checkout.install(&kit, options.upstream)?,
    };
    if options.dry_run {
        // A reader that has gone has seen enough.
        let _ = stdout().write_all(&checkout.patch(&changes)?);
        return Ok(());
    }
    match options.remove {
        true => checkout.undo(&changes)?,
        false => checkout.apply(&kit, &changes)?,
    }
    let shown = options.checkout.display();
    if changes.is_empty() {
        print(format_args!("{shown}: nothing to change"));
        return Ok(());
    }
    let count = |is_so: fn(&Change) -> bool| changes.iter().filter(|change| is_so(change)).count();
    print(format_args!(
        "{shown}: {} files added, {} changed, {} removed",
        count(|change| change.before.is_none()),
        count(|change| change.before.is_some() && change.after.is_some()),
        count(|change| change.after.is_none()),
    ));
    if !options.remove {
        print("now, in there: task bench -- --frameworks \"axum axum-tuned gin\"");
    }
    Ok(())
}
