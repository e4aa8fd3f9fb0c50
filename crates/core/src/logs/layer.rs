//! From `tracing`'s events to lines: the same three shapes as the exchange line. The fields of the spans an
//! event is in follow its own.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::format::Style;
use super::line::Line;
use super::{OUTPUT, Relaxed};

pub struct LineLayer;

/// The rendered fields of a span.
struct SpanFields(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LineLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let (Some(span), Some(style)) = (context.span(id), style()) {
            let mut fields = String::new();
            attributes.record(&mut Fields(&mut Line::fields_only(&mut fields, style)));
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let (Some(span), Some(style)) = (context.span(id), style())
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(&mut Fields(&mut Line::fields_only(fields, style)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(output) = OUTPUT.get() else { return };
        let metadata = event.metadata();
        output.write(*metadata.level(), metadata.target(), |line| {
            event.record(&mut Message(line));
            event.record(&mut Fields(line));
            for span in context.event_scope(event).into_iter().flatten() {
                if let Some(SpanFields(fields)) = span.extensions().get() {
                    line.append(fields);
                }
            }
        });
    }
}

fn style() -> Option<Style> {
    OUTPUT.get().map(|output| Style::from_number(output.style.load(Relaxed)))
}

/// Only the message, which comes first wherever it stands in the event.
struct Message<'a, 'b>(&'a mut Line<'b>);

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.message(format_args!("{value:?}"));
        }
    }
}

/// All but the message.
struct Fields<'a, 'b>(&'a mut Line<'b>);

impl Visit for Fields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            self.0.display(field.name(), format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.0.text(field.name(), value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.bare(field.name(), format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.boolean(field.name(), value);
    }
}
