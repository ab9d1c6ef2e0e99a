//! Files made here, whole and damaged.

use super::*;
use std::io::Write as _;

fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("part");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.finish().expect("zip").into_inner()
}

fn docx_file() -> Vec<u8> {
    zipped(&[(
        "word/document.xml",
        "<?xml version=\"1.0\"?><w:document><w:body><w:p><w:r><w:t>本院认为，</w:t></w:r><w:r><w:t xml:space=\"preserve\">A &amp; B &#x4e2d;</w:t></w:r></w:p><w:p><w:r><w:t>判决如下：</w:t><w:br/><w:t>一</w:t></w:r></w:p></w:body></w:document>",
    )])
}

fn ofd_file() -> Vec<u8> {
    let page = |text: &str| {
        format!(
            "<ofd:Page><ofd:Content><ofd:TextObject><ofd:TextCode X=\"1\">{text}</ofd:TextCode></ofd:TextObject></ofd:Content></ofd:Page>"
        )
    };
    zipped(&[
        ("OFD.xml", "<ofd:OFD/>"),
        ("Doc_0/Pages/Page_10/Content.xml", &page("第十一页")),
        ("Doc_0/Pages/Page_2/Content.xml", &page("第三页")),
    ])
}

/// A page with a composite font whose table gives back Chinese, packed as most writers do.
fn pdf_file() -> Vec<u8> {
    let deflate = |text: &[u8]| {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(text).expect("packed");
        out.finish().expect("packed")
    };
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut object = |number: u32, dict: &str, stream: Option<&[u8]>| {
        out.extend(format!("{number} 0 obj\n").bytes());
        match stream {
            None => out.extend(format!("{dict}\nendobj\n").bytes()),
            Some(bytes) => {
                out.extend(format!("<< {dict} /Filter /FlateDecode /Length {} >>\nstream\n", bytes.len()).bytes());
                out.extend(bytes);
                out.extend(b"\nendstream\nendobj\n");
            }
        }
    };
    let table = b"1 begincodespacerange <0000> <ffff> endcodespacerange 2 beginbfchar <0001> <672c> <0002> <9662> endbfchar 1 beginbfrange <0003> <0004> <8ba4> endbfrange";
    let content = b"BT /F1 12 Tf 1 0 0 1 50 700 Tm <00010002> Tj 0 -14 Td [<0003> -20 <0001>] TJ ET BT /F2 9 Tf 50 600 Td (Case \\(1\\)) Tj ET /X1 Do";
    object(1, "<< /Type /Catalog /Pages 2 0 R >>", None);
    object(
        2,
        "<< /Type /Pages /Kids [3 0 R] /Count 1 /Resources << /Font << /F1 5 0 R /F2 8 0 R >> /XObject << /X1 7 0 R >> >> >>",
        None,
    );
    object(3, "<< /Type /Page /Parent 2 0 R /Contents [4 0 R] >>", None);
    object(4, "", Some(&deflate(content)));
    object(5, "<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 6 0 R >>", None);
    object(6, "", Some(&deflate(table)));
    object(7, "/Type /XObject /Subtype /Form", Some(&deflate(b"BT /F1 12 Tf <0002> Tj ET")));
    // Packed in an object stream.
    object(9, "/Type /ObjStm /N 1 /First 4", Some(&deflate(b"8 0 << /Type /Font /Subtype /Type1 >>")));
    out.extend(b"trailer << /Root 1 0 R >>\n%%EOF");
    out
}

fn read(bytes: &[u8], name: &str) -> Result<Extract, AttachmentError> {
    text(bytes, name, &Limits::default())
}

#[test]
fn documents_give_their_text() {
    assert_eq!(read(&docx_file(), "a.docx").expect("docx").text, "本院认为，A & B 中\n判决如下：\n一");
    let ofd = read(&ofd_file(), "a.ofd").expect("ofd");
    assert_eq!((ofd.kind, ofd.text.as_str()), (Kind::Ofd, "第三页\n\n第十一页"));
    let pdf = read(&pdf_file(), "a.bin").expect("pdf, whatever its name");
    assert_eq!(pdf.kind, Kind::Pdf);
    assert_eq!(pdf.text, "本院\n认本\nCase (1)院");
}

#[test]
fn plain_texts_are_decoded() {
    let (gb, _, _) = encoding_rs::GB18030.encode("被告人张三\r\n盗窃");
    assert_eq!(read(&gb, "a.txt").expect("text").text, "被告人张三\n盗窃");
    assert_eq!(read("\u{feff}一\n\n\n\n二".as_bytes(), "a.TXT").expect("text").text, "一\n\n二");
    assert_eq!(read(b"MZ\0\0", "a.txt"), Err(AttachmentError::Unknown));
    assert_eq!(read("文字".as_bytes(), "a.exe"), Err(AttachmentError::Unknown));
}

#[test]
fn limits_hold() {
    let small = Limits { characters: 3, ..Limits::default() };
    let cut = text("一二三四".as_bytes(), "a.txt", &small).expect("text");
    assert!(cut.cut && cut.text == "一二三");
    assert!(matches!(
        text(&[0; 20], "a.pdf", &Limits { bytes: 10, ..Limits::default() }),
        Err(AttachmentError::TooLarge { .. })
    ));
    // A file that unpacks to far more than it is.
    let bomb = zipped(&[("word/document.xml", &"<w:t>一</w:t>".repeat(200_000))]);
    assert!(bomb.len() < 100_000);
    assert!(matches!(
        text(&bomb, "a.docx", &Limits { unpacked: 1 << 20, ..Limits::default() }),
        Err(AttachmentError::TooLarge { .. })
    ));
    assert_eq!(
        text(&docx_file(), "a.docx", &Limits { time: Duration::ZERO, ..Limits::default() }),
        Err(AttachmentError::TooSlow)
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn damaged_files_are_errors_and_never_panics(seed in 0_usize..3, at in 0.0..1.0_f64, byte in proptest::prelude::any::<u8>(), cut in 0.0..1.0_f64) {
        let mut file = [docx_file(), ofd_file(), pdf_file()][seed].clone();
        let place = (at * (file.len() - 1) as f64) as usize;
        file[place] = byte;
        drop(read(&file, "a"));
        file.truncate((cut * file.len() as f64) as usize);
        drop(read(&file, "a"));
    }
}
