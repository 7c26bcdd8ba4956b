package dev.vard.reward;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.vard.worker.WorkerEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that Pillow wrote, against the pixels that Pillow reads from them. */
class ImageFileTest {
  /** JPEG decoders round differently; Java's and Pillow's are two versions of libjpeg. */
  private static final int JPEG_TOLERANCE = 2;

  private static final String WRITE =
      """
      import pathlib, sys
      import numpy as np
      from PIL import Image, ImageCms, PngImagePlugin

      folder = pathlib.Path(sys.argv[1])
      side = 64
      y, x = np.mgrid[0:side, 0:side] / (side - 1)
      smooth = np.stack([255 * x, 255 * y, 255 * (1 - x) * y], -1).round().astype(np.uint8)
      noise = np.random.default_rng(0).integers(0, 256, (side, side - 1, 4), np.uint8)
      ramp = np.arange(65536, step=16).reshape(side, side).astype(np.uint16)
      rgb, rgba = Image.fromarray(smooth), Image.fromarray(noise)
      profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
      srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
      gamma = PngImagePlugin.PngInfo()
      gamma.add(b"gAMA", (100000).to_bytes(4, "big"))

      def keep(name, expected=None):
          file = folder / name
          image = Image.open(file)
          pixels = np.asarray(image.convert("RGB")) if expected is None else expected
          name = f"{file}.{image.height}.{image.width}.rgb"
          pathlib.Path(name).write_bytes(np.ascontiguousarray(pixels, np.uint8).tobytes())

      def save(name, image, expected=None, **options):
          image.save(folder / name, **options)
          keep(name, expected)

      level = Image.new("L", (8, 8), 128)
      save("level-128.png", level)
      save("level-128.jpg", level)
      for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
          save(f"{mode}.png", rgba.convert(mode))
      for colours in (2, 4, 16):
          save(f"P-{colours}.png", rgba.convert("RGB").quantize(colours), bits=colours.bit_length() - 1)
      save("P-transparent.png", rgb.convert("P"), transparency=3)
      save("P-transparencies.png", rgb.convert("P"), transparency=bytes(range(256)))
      save("L-transparent.png", rgb.convert("L"), transparency=7)
      save("RGB-transparent.png", rgb, transparency=(1, 2, 3))
      wide = np.repeat((ramp >> 8)[..., None], 3, -1)
      save("I16.png", Image.fromarray(ramp), wide)
      save("gamma.png", rgb.convert("L"), pnginfo=gamma)
      save("icc.png", rgb, icc_profile=profile)
      save("icc-gray.png", rgb.convert("L"), icc_profile=srgb)

      # What Pillow cannot write itself: other depths, and interlaced.
      import struct, zlib
      ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]

      def chunk(name, data):
          return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

      def write(name, samples, colour, interlaced=False):
          height, width = samples.shape[:2]
          depth = samples.dtype.itemsize * 8
          passes = [samples[j::dj, i::di] for i, j, di, dj in ADAM7] if interlaced else [samples]
          rows = b"".join(b"\\0" + row.astype(samples.dtype.newbyteorder(">")).tobytes() for part in passes for row in part)
          header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
          (folder / name).write_bytes(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
          keep(name)

      deep = noise.astype(np.uint16) * 256 + noise[::-1]
      write("RGB16.png", np.ascontiguousarray(deep[..., :3]), 2)
      write("RGBA16.png", deep, 6)
      write("LA16.png", np.ascontiguousarray(deep[..., :2]), 4)
      write("interlaced-RGB.png", np.ascontiguousarray(noise[..., :3]), 2, True)
      write("interlaced-RGBA.png", noise, 6, True)
      write("interlaced-L.png", np.ascontiguousarray(noise[..., :1]), 0, True)

      for sampling in (0, 1, 2):
          save(f"YCbCr-{sampling}.jpg", rgb, quality=95, subsampling=sampling)
      save("L.jpg", rgb.convert("L"), quality=95)
      save("progressive.jpg", rgb, quality=90, progressive=True)
      save("odd.jpg", rgb.crop((0, 0, 37, 21)), quality=90)
      save("RGB.jpg", rgb, quality=95, keep_rgb=True)
      save("icc.jpg", rgb, quality=95, icc_profile=profile)
      save("icc-damaged.jpg", rgb, quality=95, icc_profile=b"no profile at all" * 20)
      save("icc-gray.jpg", rgb.convert("L"), quality=95, icc_profile=srgb)
      turned = Image.Exif()
      turned[0x0112] = 6
      save("turned.jpg", rgb.crop((0, 0, 40, 24)), quality=95, exif=turned)
      save("CMYK.jpg", rgb.convert("CMYK"), quality=95)
      black = np.concatenate([smooth, 255 - smooth[..., :1]], -1)
      save("CMYK-black.jpg", Image.fromarray(black, "CMYK"), quality=95)
      # Adobe's marker says how the inks are coded: its last byte 2 stands for luminance.
      bytes_ = bytearray((folder / "CMYK-black.jpg").read_bytes())
      at = bytes_.index(b"Adobe")
      assert bytes_[at + 11] == 0
      bytes_[at + 11] = 2
      (folder / "YCCK.jpg").write_bytes(bytes_)
      keep("YCCK.jpg")
      del bytes_[at - 4 : at + 12]
      (folder / "CMYK-without-marker.jpg").write_bytes(bytes_)
      keep("CMYK-without-marker.jpg")

      for name in ("BMP", "GIF", "WEBP", "TIFF"):
          rgb.save(folder / f"{name}.png.other", format=name)
      """;

  @TempDir private static Path folder;

  @BeforeAll
  static void write() throws Exception {
    Path script = Files.writeString(folder.resolve("write.py"), WRITE);
    Process python =
        WorkerEnvironment.find()
            .process(script.toString(), folder.toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(python.getInputStream().readAllBytes());
    assertThat(python.waitFor()).as(said).isZero();
    assertThat(files().count()).as("kinds of files").isGreaterThan(35);
  }

  static Stream<String> files() throws IOException {
    try (Stream<Path> all = Files.list(folder)) {
      return all
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".png") || name.endsWith(".jpg"))
          .sorted()
          .toList()
          .stream();
    }
  }

  @ParameterizedTest
  @MethodSource("files")
  void shouldBeThePixelsThatPillowReads(String name) throws IOException {
    Image read = Image.read(folder.resolve(name));

    byte[] expected =
        Files.readAllBytes(
            folder.resolve("%s.%d.%d.rgb".formatted(name, read.height(), read.width())));
    byte[] given = read.toBytes();
    assertThat(given).hasSameSizeAs(expected);
    int largest = 0;
    for (int i = 0; i < given.length; i++) {
      largest = Math.max(largest, Math.abs((given[i] & 0xff) - (expected[i] & 0xff)));
    }
    assertThat(largest).isLessThanOrEqualTo(name.endsWith(".png") ? 0 : JPEG_TOLERANCE);
  }

  @Test
  void shouldKeepTheLevelOfAGrayPicture() throws IOException {
    for (String name : List.of("level-128.png", "level-128.jpg")) {
      assertThat(Image.read(folder.resolve(name)).at(3, 3, 1)).isEqualTo(128);
    }
  }

  @Test
  void shouldSayWhatItCannotRead() throws IOException {
    byte[] png = Files.readAllBytes(folder.resolve("RGB.png"));
    Path half = Files.write(folder.resolve("half.broken"), Arrays.copyOf(png, 60));
    Path nothing = Files.createFile(folder.resolve("nothing.broken"));
    for (String other : List.of("BMP", "GIF", "WEBP", "TIFF")) {
      assertThatThrownBy(() -> Image.read(folder.resolve(other + ".png.other")))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(other + ".png.other")
          .hasMessageContaining("neither a PNG nor a JPEG; save it as one of them");
    }
    assertThatThrownBy(() -> Image.read(half))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("half.broken cannot be read as a picture: ");
    assertThatThrownBy(() -> Image.read(nothing)).hasMessageContaining("nothing.broken");
  }
}
