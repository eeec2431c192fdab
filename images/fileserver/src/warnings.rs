//! What a person should know of a site that is served all the same.

use core::fmt;

use crate::site::Site;

/// Tells what the site says that is not done, a line each.
pub fn tell(site: &Site, mut say: impl FnMut(fmt::Arguments<'_>)) {
    let skipped_cnt = site.skipped_cnt();
    if skipped_cnt > 0 {
        say(format_args!(
            "{skipped_cnt} entries of the site are no files: left out"
        ));
    }
    let crowded_cnt = site.crowded_cnt();
    if crowded_cnt > 0 {
        say(format_args!(
            "_headers has more fields than fit into an answer for {crowded_cnt} files: left out"
        ));
    }
    let mut fault_cnt = 0;
    site.rule_faults(|fault| {
        fault_cnt += 1;
        if fault_cnt <= FAULTS_SHOWN {
            say(format_args!("{fault}"));
        }
    });
    if fault_cnt > FAULTS_SHOWN {
        let more_cnt = fault_cnt - FAULTS_SHOWN;
        say(format_args!(
            "and {more_cnt} lines more of _redirects and _headers"
        ));
    }
}

/// Lines of a site's rules that are told of at most, each on a line of the console.
const FAULTS_SHOWN: usize = 20;
