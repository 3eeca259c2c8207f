//! Times and durations.

use std::time::Duration;

/// A duration, in the two largest units that say something.
pub(crate) fn duration(duration: Duration) -> String {
    let (seconds, micros) = (duration.as_secs(), duration.subsec_micros());
    let two = |large: u64, unit: &str, small: u64, smaller: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {smaller}"),
    };
    match seconds {
        0 if micros < 1000 => format!("{micros} µs"),
        0 if micros < 10_000 => format!("{:.1} ms", f64::from(micros) / 1000.0),
        0 => format!("{} ms", micros / 1000),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Seconds as a duration: none for what is negative or no number, and the longest one for what is longer.
pub(crate) fn of_seconds(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) => duration,
        Err(_) if seconds > 0.0 => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// Milliseconds as a duration.
pub(crate) fn millis(millis: u64) -> String {
    duration(Duration::from_millis(millis))
}

/// A time of the server's clock, in UTC.
pub(crate) fn utc(millis: u64) -> String {
    let (days, seconds) = (millis / 86_400_000, millis / 1000 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The date of a day, counted from 1970: the algorithm `civil_from_days` of Howard Hinnant, for days after 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let micros =
            [0, 999, 1500, 41_000, 7_250_000, 59_900_000, 168_000_000, 3_600_000_000, 11_520_000_000, 356_400_000_000];
        assert_eq!(
            micros.map(|micros| duration(Duration::from_micros(micros))),
            ["0 µs", "999 µs", "1.5 ms", "41 ms", "7.2 s", "59 s", "2 min 48 s", "1 h", "3 h 12 min", "4 d 3 h"]
        );
    }

    #[test]
    fn any_number_of_seconds_is_a_duration() {
        let durations = [1.5, -1.0, f64::NAN, f64::MAX, f64::INFINITY].map(of_seconds);
        let expected = [Duration::from_millis(1500), Duration::ZERO, Duration::ZERO, Duration::MAX, Duration::MAX];
        assert_eq!(durations, expected);
        assert_eq!(duration(Duration::MAX), "213503982334601 d 7 h");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59:59 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (1_796_083_199, "2026-11-30 23:59:59 UTC"),
            (4_102_444_800, "2100-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds * 1000), text);
        }
    }
}
