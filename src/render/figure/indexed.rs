//! Pixels as numbers of a palette: figures have few colours, and their files get less than half as large.

use std::collections::{BTreeMap, HashMap};

/// Colours of a palette at most: a number is one byte.
const MAX_COLOURS: usize = 256;

type Colour = [u8; 3];

/// A picture with at most 256 colours.
pub(super) struct Indexed {
    /// Red, green and blue of each colour.
    pub(super) palette: Vec<u8>,
    /// The number of each pixel's colour.
    pub(super) pixels: Vec<u8>,
}

/// The picture of RGB bytes. Its 256 most frequent colours stay as they are; the others, edges of letters, take the
/// nearest of them.
pub(super) fn indexed(rgb: &[u8]) -> Indexed {
    let (pixels, _) = rgb.as_chunks::<3>();
    let mut counts: HashMap<Colour, usize> = HashMap::new();
    for run in pixels.chunk_by(|a, b| a == b) {
        *counts.entry(run[0]).or_default() += run.len();
    }
    let mut colours: Vec<(Colour, usize)> = counts.into_iter().collect();
    colours.sort_unstable_by_key(|&(colour, count)| (std::cmp::Reverse(count), colour));
    let (kept, rare) = colours.split_at(colours.len().min(MAX_COLOURS));
    let mut numbers: BTreeMap<Colour, u8> =
        (0_u8..=u8::MAX).zip(kept).map(|(number, &(colour, _))| (colour, number)).collect();
    numbers.extend(rare.iter().map(|&(colour, _)| (colour, nearest(kept, colour))));
    let mut out = Vec::with_capacity(pixels.len());
    for run in pixels.chunk_by(|a, b| a == b) {
        out.resize(out.len() + run.len(), numbers[&run[0]]);
    }
    Indexed { palette: kept.iter().flat_map(|(colour, _)| *colour).collect(), pixels: out }
}

/// The number of the colour that differs least, the first of equals.
fn nearest(palette: &[(Colour, usize)], wanted: Colour) -> u8 {
    let apart = |colour: Colour| -> u32 {
        colour.iter().zip(wanted).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let numbered = (0_u8..=u8::MAX).zip(palette);
    numbered.min_by_key(|&(number, &(colour, _))| (apart(colour), number)).map_or(0, |one| one.0)
}

#[cfg(test)]
mod tests {
    use super::indexed;

    fn back(rgb: &[u8]) -> Vec<u8> {
        let picture = indexed(rgb);
        let colour = |&number: &u8| picture.palette[usize::from(number) * 3..][..3].to_vec();
        picture.pixels.iter().flat_map(colour).collect()
    }

    #[test]
    fn few_colours_stay_exact() {
        let rgb: Vec<u8> = (0..=255_u8).rev().flat_map(|c| [c, 7, c]).collect();
        assert_eq!(back(&rgb), rgb);
        assert!(back(&[]).is_empty());
    }

    #[test]
    fn rare_colours_take_the_nearest_of_the_frequent() {
        let mut rgb: Vec<u8> = (0..=255_u8).flat_map(|c| [c, 0, 0, c, 0, 0]).collect();
        rgb.extend([200, 1, 0]);
        let seen = back(&rgb);
        assert_eq!(seen[..512 * 3], rgb[..512 * 3], "frequent colours are exact");
        assert_eq!(seen[512 * 3..], [200, 0, 0]);
    }
}
