//! A desert at dusk, for the demo site: sky, sun, and five ridges of dunes, nearest last.

/// The picture, pixels.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 560;
/// The sun: centre and radius, as parts of the picture's height.
const SUN: (f64, f64, f64) = (1.62, 0.44, 0.085);

/// Red, green, blue, each 0 to 1.
type Colour = [f64; 3];

const SKY_TOP: Colour = [0.10, 0.12, 0.28];
const SKY_LOW: Colour = [0.98, 0.70, 0.45];
const GLOW: Colour = [1.0, 0.86, 0.62];

/// One ridge of dunes.
struct Ridge {
    /// Its mean height over the lower edge, part of the picture's height.
    level: f64,
    /// How far it goes up and down.
    swing: f64,
    /// Waves across the picture.
    waves: f64,
    /// Where its first wave starts.
    phase: f64,
    /// Its sunlit and its shaded side.
    colours: [Colour; 2],
}

const RIDGES: [Ridge; 5] = [
    ridge(
        0.47,
        0.035,
        2.3,
        0.4,
        [[0.86, 0.52, 0.40], [0.74, 0.42, 0.38]],
    ),
    ridge(
        0.39,
        0.050,
        1.7,
        2.1,
        [[0.85, 0.47, 0.30], [0.60, 0.31, 0.31]],
    ),
    ridge(
        0.30,
        0.065,
        1.3,
        4.0,
        [[0.78, 0.40, 0.23], [0.45, 0.22, 0.26]],
    ),
    ridge(
        0.20,
        0.070,
        1.1,
        0.9,
        [[0.62, 0.30, 0.18], [0.31, 0.15, 0.22]],
    ),
    ridge(
        0.09,
        0.060,
        0.8,
        3.2,
        [[0.40, 0.18, 0.15], [0.17, 0.09, 0.17]],
    ),
];

const fn ridge(level: f64, swing: f64, waves: f64, phase: f64, colours: [Colour; 2]) -> Ridge {
    Ridge {
        level,
        swing,
        waves,
        phase,
        colours,
    }
}

/// The picture as a PNG file.
pub(super) fn png() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels()))
        .expect("a picture of the size that was announced, written to memory");
    file
}

fn pixels() -> Vec<u8> {
    let mut bytes = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    let crests: Vec<[f64; RIDGES.len()]> = (0..WIDTH)
        .map(|x| RIDGES.each_ref().map(|ridge| ridge.crest(across(x))))
        .collect();
    for y in 0..HEIGHT {
        let up = 1.0 - f64::from(y) / f64::from(HEIGHT);
        for (x, crests) in (0..WIDTH).zip(&crests) {
            let colour = colour_at(across(x), up, crests);
            let grain = f64::from(hash(x, y) & 0xff) / 255.0 - 0.5;
            bytes.extend(colour.map(|part| ((part + grain * 0.012).clamp(0.0, 1.0) * 255.0) as u8));
        }
    }
    bytes
}

/// A column, as a part of the picture's height.
fn across(x: u32) -> f64 {
    f64::from(x) / f64::from(HEIGHT)
}

fn colour_at(across: f64, up: f64, crests: &[f64; RIDGES.len()]) -> Colour {
    for (ridge, crest) in RIDGES.iter().zip(crests).rev() {
        if up < *crest {
            return ridge.colour(across, *crest, *crest - up);
        }
    }
    sky(across, up)
}

fn sky(across: f64, up: f64) -> Colour {
    let low = mix(
        SKY_LOW,
        SKY_TOP,
        ((up - 0.4) / 0.6).clamp(0.0, 1.0).powf(0.8),
    );
    let distance = (across - SUN.0).hypot(up - SUN.1 - 0.1);
    if distance < SUN.2 {
        return GLOW;
    }
    mix(low, GLOW, 0.75 * (-(distance - SUN.2) * 5.5).exp())
}

impl Ridge {
    /// Height of the ridge's line at a column: two sines with pointed tops, as wind leaves them.
    fn crest(&self, across: f64) -> f64 {
        let turn = across * self.waves * 2.4 + self.phase;
        let pointed = 1.0 - 2.0 * (turn.sin() * 0.5).abs().powf(0.9);
        let small = (turn * 2.7 + self.phase * 3.0).sin() * 0.22;
        self.level + self.swing * (pointed + small)
    }

    /// Colour `below` its line: lit where the slope falls towards the sun, rippled by the wind.
    fn colour(&self, across: f64, crest: f64, below: f64) -> Colour {
        let slope = (self.crest(across + 0.01 + below * 0.35) - crest) / 0.01;
        let light = (0.5 - slope * 0.55 - below * 1.2).clamp(0.0, 1.0);
        let ripple = ((below * 260.0 + (across * 21.0).sin() * 3.0) * self.waves).sin() * 0.03;
        let [lit, shade] = self.colours;
        mix(shade, lit, (light + ripple).clamp(0.0, 1.0))
    }
}

fn mix(from: Colour, to: Colour, part: f64) -> Colour {
    [0, 1, 2].map(|idx| from[idx] + (to[idx] - from[idx]) * part)
}

/// Grain that is the same in every run.
fn hash(x: u32, y: u32) -> u32 {
    let mixed =
        (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 15)
}
