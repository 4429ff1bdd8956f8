//! How short a time-out may really be in a lab whose clock runs fast.

use std::time::Duration;

/// How long a probe really waits: the architecture's duration on the wall's clock, and in a lab that runs fast no less than a
/// floor, so that a busy machine is not mistaken for an outage.
pub fn real_limit(limit: Duration, speed: f64, floor: Duration) -> Duration {
    if speed > 1.0 {
        limit.div_f64(speed).max(floor)
    } else {
        limit.div_f64(speed)
    }
}

/// The real time below which no good answer is called slow in a lab that runs fast. Below the second after which the kernel
/// sends a lost SYN again, which would make a success of a dropped connection (measurement 0.3).
pub const GOOD_WITHIN_FLOOR: Duration = Duration::from_millis(800);

/// The real time below which no sample is given up in a lab that runs fast.
pub const TIMEOUT_FLOOR: Duration = Duration::from_millis(900);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_lab_has_a_floor_and_real_time_has_none() {
        let floor = Duration::from_millis(800);
        assert_eq!(real_limit(Duration::from_secs(3), 30.0, floor), floor);
        assert_eq!(
            real_limit(Duration::from_mins(1), 30.0, floor),
            Duration::from_secs(2)
        );
        assert_eq!(
            real_limit(Duration::from_millis(100), 1.0, floor),
            Duration::from_millis(100)
        );
    }
}
