//! The steps of a plan that people are asked about: each in words, in order, with what would make it ask by itself.

use super::html::Html;
use super::strangers::{beyond_ascii, readable, server_says};
use crate::wire::{PlanArgument, PlanOpen, PlanStep, PlanValue};

/// All steps.
pub fn steps(steps: &[PlanStep]) -> Html {
    if steps.is_empty() {
        return Html::new()
            .raw("<p class=\"note\">What its steps are is not known any more. Do not agree to it.</p>");
    }
    Html::new()
        .raw("<h2>Exactly these steps, in this order</h2><p class=\"quiet\">A step may be left out; none comes again after a later one. What is no step, or gives an argument another value, is asked about by itself.</p><ol class=\"steps\">")
        .each(steps, |h, step| h.html(&one(step)))
        .raw("</ol>")
}

fn one(step: &PlanStep) -> Html {
    let times = step.times.to_string();
    Html::new()
        .raw("<li class=\"card\"><h3><code>")
        .text(&step.name)
        .raw("</code>")
        .when(step.times != 1, |h| h.raw(" <span class=\"badge\">up to ").text(&times).raw(" times</span>"))
        .raw("</h3>")
        .when(!step.what.is_empty(), |h| h.raw("<p>").text(&step.what).raw("</p>"))
        .html(&server_says(step.server_says.as_ref()))
        .raw("<dl class=\"arguments\">")
        .each(&step.arguments, |h, argument| h.html(&may_be(argument, step)))
        .each(&step.anything, |h, name| {
            h.raw("<dt>").text(name).raw("</dt><dd class=\"quiet\">anything</dd>")
        })
        .raw("<dt>Undo</dt><dd>")
        .when(!step.undoable, |h| h.raw("<strong class=\"bad\">"))
        .prose(&step.undo)
        .when(!step.undoable, |h| h.raw("</strong>"))
        .raw("</dd><dt>Risk</dt><dd>")
        .text(&step.risk)
        .raw("</dd>")
        .when(step.cage.is_some(), |h| {
            h.raw("<dt>Held</dt><dd>").prose(step.cage.as_deref().unwrap_or_default()).raw("</dd>")
        })
        .each(&step.reaches, |h, whom| h.raw("<dt>Reaches</dt><dd>").prose(whom).raw("</dd>"))
        .raw("</dl>")
        .html(&by_itself(step))
        .each(&step.open, |h, open| h.html(&left_open(open)))
        .when(step.stale, |h| {
            h.raw("<p class=\"note\">The definition of this action has changed since you were asked. A yes to the plan does not reach it.</p>")
        })
        .raw("</li>")
}

fn may_be(argument: &PlanArgument, step: &PlanStep) -> Html {
    let says = match argument.is {
        "equals" => "exactly ",
        "one_of" => "one of ",
        _ => "at most ",
    };
    let sends =
        argument.class.is_some_and(|class| class.starts_with("dest_") || class.starts_with("target_"));
    let alone =
        step.unnamed.iter().any(|at| at == &argument.at || at.starts_with(&format!("{}/", argument.at)));
    Html::new()
        .raw("<dt>")
        .text(argument.at.trim_start_matches('/'))
        .raw("</dt><dd><span class=\"quiet\">")
        .raw(says)
        .raw("</span>")
        .each(&argument.values, |h, value| {
            let value = readable(value);
            h.raw("<pre>").text(&value).raw("</pre>").when(sends && !value.is_ascii(), |h| {
                h.raw("<p class=\"warn\">Not all of this is plain ASCII; some letters look like others: ")
                    .text(&beyond_ascii(&value))
                    .raw("</p>")
            })
        })
        .when(alone, |h| h.raw("<p class=\"warn\">Only the plan names it; the goal does not.</p>"))
        .each(below(argument, step), |h, value| h.html(&standing(value)))
        .raw("</dd>")
}

/// The values of a step that stand under this argument.
fn below<'a>(argument: &'a PlanArgument, step: &'a PlanStep) -> impl Iterator<Item = &'a PlanValue> {
    let under = |at: &str| at == argument.at || at.starts_with(&format!("{}/", argument.at));
    step.values.iter().filter(move |value| under(&value.at))
}

/// Who stands behind a value. Which one is said, since a step may list several.
fn standing(value: &PlanValue) -> Html {
    let (shown, stands) = (readable(&value.value), value.stands.as_str());
    let html = Html::new().raw(if value.unproven {
        "<p class=\"warn\"><code>"
    } else {
        "<p class=\"quiet\"><code>"
    });
    let html = html.text(&shown).raw("</code> ");
    match (value.unproven, stands) {
        (true, "") => html.raw("is unproven: nobody who is trusted has named it.</p>"),
        (true, stands) => {
            html.raw("is unproven for this: ").text(stands).raw(", which is not enough here.</p>")
        }
        (false, "") => html.raw("needs nobody to stand behind it.</p>"),
        (false, stands) => html.raw("is proven: ").text(stands).raw(".</p>"),
    }
}

fn by_itself(step: &PlanStep) -> Html {
    if step.because.is_empty() {
        return Html::new().raw("<p class=\"quiet\">By itself it would not ask.</p>");
    }
    Html::new()
        .raw("<p>By itself it would ask, once the run has read what a stranger may have written:</p><ul>")
        .each(&step.because, |h, reason| h.raw("<li>").prose(reason).raw("</li>"))
        .raw("</ul>")
}

fn left_open(open: &PlanOpen) -> Html {
    let html = Html::new()
        .raw("<p class=\"warn\">The plan does not say what <code>")
        .text(open.at.trim_start_matches('/'));
    match open.required {
        true => html.raw("</code> is, so every call is asked about by itself.</p>"),
        false => html.raw("</code> is; a call that gives it is asked about by itself.</p>"),
    }
}
