//! `harness kit`: puts our contender, and our upstream if asked to, into a checkout of the public
//! harness, or takes them out.

mod checkout;
mod content;
mod edit;
mod workspace;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use testbed::state;
use testbed::terminal::print;

use checkout::Checkout;
use content::Kit;

/// Lines of context that `git apply` asks for.
const PATCH_CONTEXT: usize = 3;

/// Options of `harness kit`.
#[derive(Args, Debug)]
pub(super) struct KitOptions {
    /// A checkout of the public harness, RogerThomas/api-benchmarks on GitHub
    #[arg(value_name = "DIR")]
    checkout: PathBuf,
    /// Replace the checkout's upstream by ours too
    #[arg(long, conflicts_with = "remove")]
    upstream: bool,
    /// Take the kit out: every file is as before
    #[arg(long)]
    remove: bool,
    /// Change nothing: print the changes as a patch for `git apply`
    #[arg(long, conflicts_with = "remove")]
    dry_run: bool,
}

/// Runs the command.
///
/// # Errors
/// The process runs outside of the suite, DIR is not the public harness, or a file there was edited
/// or has changed shape. Then nothing was changed.
pub(super) fn kit(options: &KitOptions) -> Result<()> {
    let checkout = Checkout::open(&options.checkout)?;
    let suite = state::checkout()
        .context("the kit is made from a checkout of the suite: run this inside of one")?;
    let kit = Kit::generate(&suite)?;
    let shown = options.checkout.display();
    if options.dry_run {
        let patch = checkout.patch(&kit, options.upstream, PATCH_CONTEXT)?;
        // Exactly: the last line of a patch may be a space.
        patch.lines().for_each(print);
        return Ok(());
    }
    let message = if options.remove {
        match checkout.remove()? {
            true => format!("{shown}: removed"),
            false => format!("{shown}: nothing to remove; if a commit brought the kit, revert it"),
        }
    } else {
        match checkout.install(&kit, options.upstream)? {
            0 => format!("{shown}: nothing to change"),
            files => format!(
                "{shown}: {files} files added or changed; now run there: \
                 task bench -- --frameworks \"axum axum-tuned gin\" (in a fresh clone, after `uv lock` \
                 in each folder of services/ with a pyproject.toml)"
            ),
        }
    };
    print(message);
    Ok(())
}
