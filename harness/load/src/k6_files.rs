//! The files of `--engine k6`, for a load from other machines.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::Profile;

use crate::engine::k6;
use crate::input::{Requests, Variety};
use crate::scenario::Scenario;
use conformance::{Target, random};

/// Rows of the users, to be inserted into the target's database.
const USERS: &str = "users.sql";

/// Writes `load.js` and `inputs.json` of each scenario into a folder of its name, and the rows of
/// their users into `users.sql`. Tokens are signed with `secret`. Returns the written files.
///
/// # Errors
/// The file system's.
pub fn write(folder: &Path, users: usize, secret: &str) -> Result<Vec<PathBuf>> {
    let users: Vec<_> = (0..users).map(|_| random::profile()).collect();
    // The script gets the address of the target from its environment.
    let no_address = Target::local(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let mut files = vec![(PathBuf::from(USERS), rows(&users))];
    for scenario in Scenario::ALL {
        let requests = Requests {
            scenario,
            target: &no_address,
            users: &users,
            secret,
            variety: Variety::Unique,
        };
        let subfolder = PathBuf::from(scenario.name());
        files.push((subfolder.join(k6::SCRIPT), k6::script(scenario)));
        files.push((subfolder.join(k6::INPUTS), k6::inputs(requests)));
    }
    let written = files.into_iter().map(|(name, text)| {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    });
    written.collect()
}

/// Returns an `INSERT` that can be repeated.
fn rows(users: &[Profile]) -> String {
    let rows = users.iter().map(|user| {
        let fields = [
            &user.id,
            &user.name,
            &user.email,
            &user.address,
            &user.city,
            &user.country,
        ];
        let fields = fields.map(|field| format!("'{}'", field.replace('\'', "''")));
        format!("({})", fields.join(", "))
    });
    let rows: Vec<_> = rows.collect();
    format!(
        "INSERT INTO users (id, name, email, address, city, country) VALUES\n{}\n\
         ON CONFLICT (id) DO NOTHING;\n",
        rows.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest size of a Kubernetes ConfigMap.
    const CONFIG_MAP_MAX_BYTES: usize = 1 << 20;

    #[test]
    fn script_and_inputs_of_each_scenario_fit_into_a_config_map() {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), 1000, "secret").unwrap();
        assert_eq!(written.len(), 1 + 2 * Scenario::ALL.len());
        for scenario in Scenario::ALL {
            let subfolder = folder.path().join(scenario.name());
            let script = fs::read_to_string(subfolder.join("load.js")).unwrap();
            assert_eq!(script, k6::script(scenario));
            let inputs = fs::read_to_string(subfolder.join("inputs.json")).unwrap();
            assert!(script.len() + inputs.len() < CONFIG_MAP_MAX_BYTES);
            let inputs: serde_json::Value = serde_json::from_str(&inputs).unwrap();
            assert!(!inputs.as_array().unwrap().is_empty());
        }
    }

    #[test]
    fn quotes_in_a_row_are_doubled() {
        let user = Profile {
            city: "Ada's".to_owned(),
            ..schema::fixtures::profile()
        };
        let sql = rows(&[user]);
        assert!(sql.contains(", 'Ada''s', "), "{sql}");
        assert!(sql.ends_with(")\nON CONFLICT (id) DO NOTHING;\n"), "{sql}");
    }
}
