//! Content types by extension: IANA's media types, as nginx and Apache give them.

macro_rules! media_types {
    ($($kind:ident $text:literal [$($extension:literal)*];)*) => {
        /// A content type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum MediaType {
            $(#[doc = $text] $kind,)*
        }

        impl MediaType {
            /// The value of Content-Type.
            #[must_use]
            pub fn as_bytes(self) -> &'static [u8] {
                match self { $(Self::$kind => $text.as_bytes(),)* }
            }
        }

        const BY_EXTENSION: &[(&str, MediaType)] = &[$($(($extension, MediaType::$kind),)*)*];
    };
}

// Text is UTF-8. JSON and XML say their own encoding. The most frequent extensions first.
media_types! {
    Html "text/html; charset=utf-8" ["html" "htm"];
    Css "text/css; charset=utf-8" ["css"];
    JavaScript "text/javascript; charset=utf-8" ["js" "mjs" "cjs"];
    Json "application/json" ["json" "map"];
    Svg "image/svg+xml" ["svg"];
    Png "image/png" ["png"];
    Jpeg "image/jpeg" ["jpg" "jpeg" "jpe"];
    Gif "image/gif" ["gif"];
    Webp "image/webp" ["webp"];
    Avif "image/avif" ["avif"];
    Icon "image/x-icon" ["ico"];
    Apng "image/apng" ["apng"];
    Bmp "image/bmp" ["bmp"];
    Tiff "image/tiff" ["tif" "tiff"];
    Jxl "image/jxl" ["jxl"];
    Woff "font/woff" ["woff"];
    Woff2 "font/woff2" ["woff2"];
    Ttf "font/ttf" ["ttf"];
    Otf "font/otf" ["otf"];
    Eot "application/vnd.ms-fontobject" ["eot"];
    Text "text/plain; charset=utf-8" ["txt" "text" "log" "conf" "ini" "toml" "rs" "c" "h" "asc"];
    Markdown "text/markdown; charset=utf-8" ["md" "markdown"];
    Csv "text/csv; charset=utf-8" ["csv"];
    Tsv "text/tab-separated-values; charset=utf-8" ["tsv"];
    Calendar "text/calendar; charset=utf-8" ["ics"];
    VCard "text/vcard; charset=utf-8" ["vcf"];
    Vtt "text/vtt; charset=utf-8" ["vtt"];
    Yaml "application/yaml" ["yaml" "yml"];
    Xml "application/xml" ["xml" "xsl" "xsd"];
    Xhtml "application/xhtml+xml" ["xhtml"];
    Rss "application/rss+xml" ["rss"];
    Atom "application/atom+xml" ["atom"];
    Manifest "application/manifest+json" ["webmanifest"];
    JsonLd "application/ld+json" ["jsonld"];
    GeoJson "application/geo+json" ["geojson"];
    Wasm "application/wasm" ["wasm"];
    Pdf "application/pdf" ["pdf"];
    Epub "application/epub+zip" ["epub"];
    Rtf "application/rtf" ["rtf"];
    PostScript "application/postscript" ["ps" "eps" "ai"];
    Docx "application/vnd.openxmlformats-officedocument.wordprocessingml.document" ["docx"];
    Xlsx "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" ["xlsx"];
    Pptx "application/vnd.openxmlformats-officedocument.presentationml.presentation" ["pptx"];
    Doc "application/msword" ["doc"];
    Xls "application/vnd.ms-excel" ["xls"];
    Ppt "application/vnd.ms-powerpoint" ["ppt"];
    OpenText "application/vnd.oasis.opendocument.text" ["odt"];
    OpenSheet "application/vnd.oasis.opendocument.spreadsheet" ["ods"];
    OpenSlides "application/vnd.oasis.opendocument.presentation" ["odp"];
    OpenDrawing "application/vnd.oasis.opendocument.graphics" ["odg"];
    Kml "application/vnd.google-earth.kml+xml" ["kml"];
    Kmz "application/vnd.google-earth.kmz" ["kmz"];
    Gpx "application/gpx+xml" ["gpx"];
    Certificate "application/x-x509-ca-cert" ["crt" "der" "pem"];
    Mp4 "video/mp4" ["mp4" "m4v"];
    Webm "video/webm" ["webm"];
    Ogv "video/ogg" ["ogv"];
    QuickTime "video/quicktime" ["mov"];
    Matroska "video/matroska" ["mkv"];
    Mpeg "video/mpeg" ["mpeg" "mpg"];
    Avi "video/x-msvideo" ["avi"];
    Wmv "video/x-ms-wmv" ["wmv"];
    Flv "video/x-flv" ["flv"];
    ThreeGpp "video/3gpp" ["3gp" "3gpp"];
    TransportStream "video/mp2t" ["ts"];
    Playlist "application/vnd.apple.mpegurl" ["m3u8"];
    Mp3 "audio/mpeg" ["mp3"];
    Ogg "audio/ogg" ["ogg" "oga" "opus"];
    M4a "audio/mp4" ["m4a"];
    Aac "audio/aac" ["aac"];
    Flac "audio/flac" ["flac"];
    Wav "audio/wav" ["wav"];
    Midi "audio/midi" ["mid" "midi" "kar"];
    Zip "application/zip" ["zip"];
    Gzip "application/gzip" ["gz" "tgz"];
    Brotli "application/x-brotli" ["br"];
    Zstd "application/zstd" ["zst"];
    Bzip2 "application/x-bzip2" ["bz2"];
    Xz "application/x-xz" ["xz"];
    Tar "application/x-tar" ["tar"];
    SevenZip "application/x-7z-compressed" ["7z"];
    Rar "application/vnd.rar" ["rar"];
    Rpm "application/x-redhat-package-manager" ["rpm"];
    Jar "application/java-archive" ["jar" "war" "ear"];
    Jnlp "application/x-java-jnlp-file" ["jnlp"];
    Debian "application/vnd.debian.binary-package" ["deb"];
    Unknown "application/octet-stream" ["bin" "exe" "dll" "iso" "img" "dmg"];
}

impl MediaType {
    /// The content type for a path: by the last extension of its last component.
    #[must_use]
    pub fn of_path(path: &[u8]) -> Self {
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(&[]);
        let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else {
            return Self::Unknown;
        };
        let extension = name.get(dot + 1..).unwrap_or(&[]);
        let known = |(text, _): &&(&str, Self)| text.as_bytes().eq_ignore_ascii_case(extension);
        BY_EXTENSION
            .iter()
            .find(known)
            .map_or(Self::Unknown, |&(_, kind)| kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_extension() {
        assert_eq!(MediaType::of_path(b"a/index.html"), MediaType::Html);
        assert_eq!(MediaType::of_path(b"A.HTML"), MediaType::Html);
        assert_eq!(MediaType::of_path(b"jquery.min.js"), MediaType::JavaScript);
        assert_eq!(MediaType::of_path(b"v1.html/README"), MediaType::Unknown);
        assert_eq!(MediaType::of_path(b"html"), MediaType::Unknown);
        assert_eq!(MediaType::of_path(b"x."), MediaType::Unknown);
        assert_eq!(MediaType::of_path(b".css"), MediaType::Css);
        assert_eq!(MediaType::of_path(b"site.webmanifest"), MediaType::Manifest);
    }

    #[test]
    fn extensions_are_lower_case_and_unique() {
        for (at, (extension, kind)) in BY_EXTENSION.iter().enumerate() {
            assert_eq!(*extension, extension.to_ascii_lowercase());
            assert!(
                BY_EXTENSION[..at]
                    .iter()
                    .all(|(other, _)| other != extension),
                "{extension}"
            );
            assert!(kind.as_bytes().is_ascii());
        }
    }
}
