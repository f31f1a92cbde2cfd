//! Cautions that hold for several inputs, said once.

use super::{Line, Part, Sentence, Tone};
use crate::schema::{Pointer, pointer};
use crate::table::{AnalyzeReport, Cell};

/// Takes the cautions that several inputs share out of their sentences, and says each once with the inputs' numbers.
pub(super) fn shared(own: &mut [Vec<Sentence>]) -> Vec<Sentence> {
    let mut told: Vec<(Sentence, Vec<usize>)> = Vec::new();
    for (input, sentences) in own.iter().enumerate() {
        for sentence in sentences.iter().filter(|sentence| is_caution_in_words(sentence)) {
            match told.iter_mut().find(|(known, _)| known == sentence) {
                Some((_, inputs)) => inputs.push(input),
                None => told.push((sentence.clone(), vec![input])),
            }
        }
    }
    told.retain(|(_, inputs)| inputs.len() > 1);
    for sentences in own.iter_mut() {
        sentences.retain(|sentence| told.iter().all(|(known, _)| known != sentence));
    }
    let n = own.len();
    told.into_iter().map(|(sentence, inputs)| naming(sentence, &inputs, n)).collect()
}

/// A figure belongs to one input, so that a sentence with one is not shared.
fn is_caution_in_words(sentence: &Sentence) -> bool {
    let is_words = |part: &Part| matches!(part, Part::Words(_));
    sentence.tone == Tone::Caution && sentence.parts.iter().all(is_words)
}

/// The sentence after the inputs that it is about, of `n`.
fn naming(mut sentence: Sentence, inputs: &[usize], n: usize) -> Sentence {
    let line = if inputs.len() == n {
        let root = Pointer::<AnalyzeReport>::root();
        let line = Line::new("All ").figure(Cell::Count(n as u64), pointer!(root.inputs));
        line.words(" inputs: ")
    } else {
        let numbers: Vec<String> = inputs.iter().map(|input| format!("#{input}")).collect();
        Line::new(format!("{}: ", numbers.join(", ")))
    };
    sentence.parts.splice(0..0, line.parts);
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{DeviceRow, TrustRow};

    fn words(sentence: &Sentence) -> String {
        let words = |part: &Part| match part {
            Part::Words(words) => words.clone(),
            _ => "?".to_owned(),
        };
        sentence.parts.iter().map(words).collect()
    }

    #[test]
    fn what_several_inputs_share_is_said_once() {
        let caution = |text: &str| Line::new(text).tone(Tone::Caution).see::<TrustRow>();
        let finding = || Line::new("Busy.").see::<DeviceRow>();
        let mut own = vec![
            vec![finding(), caution("No frames.")],
            vec![finding(), caution("No device.")],
            vec![finding(), caution("No frames."), caution("No thread.")],
        ];
        let all = shared(&mut own);
        assert_eq!(all.iter().map(words).collect::<Vec<_>>(), ["#0, #2: No frames."]);
        assert_eq!(own[0], [finding()], "findings stay with their input");
        assert_eq!(
            own[1],
            [finding(), caution("No device.")],
            "a caution of one input stays there"
        );
        assert_eq!(own[2], [finding(), caution("No thread.")]);
        let mut both = vec![vec![caution("No frames.")], vec![caution("No frames.")]];
        assert_eq!(words(&shared(&mut both)[0]), "All ? inputs: No frames.");
    }
}
