//! What a cell can see and reach.

use crate::kit::{Node, run, wanted};

#[test]
fn a_cell_is_made_answers_and_goes() {
    let node = Node::start();
    let cell = node.create(wanted());
    assert_eq!(cell.not_enforced, Vec::<String>::new());
    let ran = run(&cell, "id -u; hostname; pwd; echo $GREETING");
    assert_eq!((ran.code, ran.out.as_str()), (0, "1000\nmy-cell\n/home/muster\nhello\n"), "{}", ran.err);
    let receipt = node.end(cell.allocation, 100);
    assert!(receipt.clean, "{receipt:?}");
    assert_eq!(node.traces(), Vec::<String>::new());
}
