//! The colours of roles in light and dark. Waiting is warm, execution cool; text passes AA on every fill.

use std::fmt::Write as _;

use super::scene::Ink;
use crate::table::figure::Role;

/// Red, green, blue.
pub(super) type Rgb = (u8, u8, u8);

/// The colours of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Theme {
    /// On white.
    #[default]
    Light,
    /// On near black.
    Dark,
}

impl Theme {
    pub(super) fn background(self) -> Rgb {
        if self == Self::Light { (255, 255, 255) } else { (13, 17, 23) }
    }

    fn text(self) -> Rgb {
        if self == Self::Light { (31, 35, 40) } else { (230, 237, 243) }
    }

    fn muted(self) -> Rgb {
        if self == Self::Light { (89, 99, 110) } else { (157, 167, 179) }
    }

    fn grid(self) -> Rgb {
        if self == Self::Light { (221, 225, 230) } else { (48, 54, 61) }
    }

    fn on_role(self) -> Rgb {
        self.background()
    }

    /// The colour of a role.
    fn role(self, role: Role) -> Rgb {
        let (light, dark) = match role {
            Role::CpuOp | Role::Execution => (0x2a_66_ad, 0x6c_a8_ee),
            Role::Python => (0x2e_7d_78, 0x78_c9_ba),
            Role::Runtime => (0x1b_44_6e, 0x4f_8f_d6),
            Role::Loading => (0x64_56_a8, 0xa9_9d_ea),
            Role::IpcWait => (0xc2_41_0c, 0xff_8f_52),
            Role::GpuSync => (0x8f_60_00, 0xe8_bb_3e),
            Role::OtherWait => (0xa8_32_6b, 0xf0_8f_b8),
            Role::Unattributed => (0x6b_72_80, 0x8b_93_9e),
            Role::Kernel => (0x15_78_5b, 0x46_c7_96),
            Role::Comm => (0x7b_3f_a0, 0xc9_92_f0),
            Role::Prefill => (0x24_40_5f, 0xb4_c8_de),
            Role::Decode => (0x4f_74_9b, 0x7f_9d_bf),
            Role::Mixed => (0x4b_4f_9c, 0xa6_a9_ea),
            Role::Copy => (0x0b_6f_88, 0x5c_c6_de),
            Role::Memset => (0x47_55_69, 0xa3_b1_c4),
            Role::Other => (0x4a_55_65, 0xa7_b0_be),
        };
        let rgb: u32 = if self == Self::Light { light } else { dark };
        let [_, red, green, blue] = rgb.to_be_bytes();
        (red, green, blue)
    }

    /// The colour of an ink on this theme's background.
    pub(super) fn ink(self, ink: Ink) -> Rgb {
        match ink {
            Ink::Text => self.text(),
            Ink::Muted => self.muted(),
            Ink::Grid => self.grid(),
            Ink::Role(role) => self.role(role),
            Ink::Faint(role, strength) => mix(self.background(), self.role(role), strength),
            Ink::OnRole => self.on_role(),
        }
    }
}

/// A colour on its way from one to another, in hundredths.
fn mix(from: Rgb, to: Rgb, hundredths: u8) -> Rgb {
    let part = u32::from(hundredths.min(100));
    let one = |a: u8, b: u8| {
        let sum = u32::from(a) * (100 - part) + u32::from(b) * part;
        u8::try_from(sum / 100).unwrap_or(u8::MAX)
    };
    (one(from.0, to.0), one(from.1, to.1), one(from.2, to.2))
}

/// As style sheets write a colour.
pub(super) fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Rules for the classes of the SVG figures of a page, as custom properties: `selector` is where they are set, `:root`
/// for example; a page with both themes takes each under its own selector.
pub fn css(theme: Theme, selector: &str) -> String {
    let mut out = format!("{selector}{{");
    let inks =
        [("text", Ink::Text), ("muted", Ink::Muted), ("grid", Ink::Grid), ("on", Ink::OnRole)];
    for (name, ink) in inks {
        let _ = write!(out, "--fig-{name}:{};", hex(theme.ink(ink)));
    }
    for role in Role::ALL {
        let _ = write!(out, "--fig-{}:{};", role.as_str(), hex(theme.role(role)));
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::Theme;
    use crate::render::contrast::contrast;
    use crate::render::figure::scene::Ink;
    use crate::table::figure::Role;

    #[test]
    fn words_and_fills_pass_aa() {
        for theme in [Theme::Light, Theme::Dark] {
            let background = theme.background();
            for ink in [Ink::Text, Ink::Muted] {
                assert!(contrast(theme.ink(ink), background) >= 4.5, "{theme:?} {ink:?}");
            }
            for role in Role::ALL {
                let fill = theme.ink(Ink::Role(role));
                assert!(contrast(fill, background) >= 3.0, "{theme:?} {role:?}");
                assert!(contrast(theme.ink(Ink::OnRole), fill) >= 4.5, "{theme:?} {role:?}");
                let faint = theme.ink(Ink::Faint(role, 45));
                assert!(contrast(theme.ink(Ink::Text), faint) >= 4.5, "{theme:?} faint {role:?}");
            }
        }
    }
}
