//! A drill against its environment: whether what one names exists in the other, can be done and can be decided.
