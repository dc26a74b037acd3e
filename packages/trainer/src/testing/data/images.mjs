// Writes images.json: one gradient of 21 x 13 pixels in kinds of PNG and JPEG, and what libvips decodes each to ([height, width,
// channels]), in base64. Run here: npm install --no-save --ignore-scripts sharp, then node images.mjs.
import { writeFileSync } from 'node:fs';
import sharp from 'sharp';

const [width, height] = [21, 13];
const raw = Buffer.alloc(width * height * 3);
for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) raw.set([12 * x, 19 * y, 6 * (x + y)], (y * width + x) * 3);
const image = () => sharp(raw, { raw: { width, height, channels: 3 } });
const kinds = {
  png: image().png(),
  'png-interlaced': image().png({ progressive: true }),
  'png-palette': image().png({ palette: true, colours: 16, dither: 0 }),
  'png-alpha': image().ensureAlpha(0.5).png(),
  'png-grey': image().greyscale().png(),
  'png-16': image().toColourspace('rgb16').png(),
  jpeg: image().jpeg({ quality: 90 }),
  'jpeg-444': image().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }),
  'jpeg-progressive': image().jpeg({ quality: 90, progressive: true }),
  'jpeg-grey': image().greyscale().jpeg({ quality: 90 }),
};
const written = { sharp: sharp.versions.sharp };
for (const [name, kind] of Object.entries(kinds)) {
  const file = await kind.toBuffer();
  const colours = name.includes('grey') ? 'b-w' : 'srgb';
  const pixels = await sharp(file).removeAlpha().toColourspace(colours).raw().toBuffer();
  Object.assign(written, { [name]: file.toString('base64'), [`${name}/pixels`]: pixels.toString('base64') });
}
writeFileSync(new URL('images.json', import.meta.url), `${JSON.stringify(written, undefined, 2)}\n`);
