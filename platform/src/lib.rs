//! What a machine owes the stack.
