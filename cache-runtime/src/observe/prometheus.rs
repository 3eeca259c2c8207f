//! The figures of a cache in the text format of Prometheus.

use std::fmt::{Display, Write};

use super::families::{Family, Kind, Label, Output, Value};
use super::figures::Figures;
use super::snapshot::Histogram;

/// The content type of the text that [`Cache::prometheus`](crate::Cache::prometheus) returns.
pub const PROMETHEUS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures as text.
pub(crate) fn text(namespace: &str, figures: &Figures) -> String {
    let mut text = Text { output: String::with_capacity(4096), namespace };
    figures.write(&mut text);
    text.output
}

struct Text<'a> {
    output: String,
    namespace: &'a str,
}

impl Text<'_> {
    fn line(&mut self, (name, suffix): (&str, &str), labels: &[Label<'_>], value: impl Display) {
        self.output.push_str(name);
        self.output.push_str(suffix);
        let namespace = (!self.namespace.is_empty()).then_some(("namespace", self.namespace));
        let mut separator = '{';
        for (label, text) in namespace.iter().chain(labels) {
            // Writing to a `String` does not fail, here and below.
            let _ = write!(self.output, "{separator}{label}=\"");
            escape(text, &mut self.output);
            self.output.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.output.push('}');
        }
        let _ = writeln!(self.output, " {value}");
    }
}

impl Output for Text<'_> {
    fn family(&mut self, Family { name, kind, help, .. }: &'static Family) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = write!(self.output, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, family: &'static Family, labels: &[Label<'_>], value: Value) {
        match value {
            Value::Whole(value) => self.line((family.name, ""), labels, value),
            Value::Part(value) => self.line((family.name, ""), labels, value),
        }
    }

    fn histogram(&mut self, family: &'static Family, labels: &[Label<'_>], histogram: &Histogram) {
        let name = family.name;
        for (bound, count) in histogram.buckets() {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line((name, "_bucket"), &labels, count);
        }
        self.line((name, "_sum"), labels, histogram.sum);
        self.line((name, "_count"), labels, histogram.count());
    }
}

/// Appends the text of a label.
fn escape(text: &str, output: &mut String) {
    for char in text.chars() {
        match char {
            '\\' => output.push_str("\\\\"),
            '"' => output.push_str("\\\""),
            '\n' => output.push_str("\\n"),
            other => output.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text { output: String::new(), namespace: "a\"b" };
        text.line(("name", "_sum"), &[("label", "c\\d\ne")], 1.5);
        assert_eq!(text.output, "name_sum{namespace=\"a\\\"b\",label=\"c\\\\d\\ne\"} 1.5\n");
        let mut text = Text { output: String::new(), namespace: "" };
        text.line(("name", ""), &[], 2);
        assert_eq!(text.output, "name 2\n");
    }
}
