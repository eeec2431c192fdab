use super::*;
use std::fmt::Write;
use std::string::String;

/// Every state and every event: what is not listed cannot happen.
#[test]
fn the_whole_table() {
    let mut table = String::new();
    for state in State::ALL {
        for event in Event::ALL {
            if let Some(next) = state.after(event) {
                writeln!(table, "{state} {event:?} {next}").unwrap();
            }
        }
    }
    assert_eq!(table, include_str!("transitions.txt"));
}

#[test]
fn data_flows_only_where_the_state_says() {
    let may = |test: fn(State) -> bool| State::ALL.into_iter().filter(move |s| test(*s)).count();
    assert_eq!(may(State::can_send), 4);
    assert_eq!(may(State::can_receive), 3);
    assert_eq!(may(State::is_synchronized), 7);
}
