// x[i, y, x, c] = byte(image, c, sy, sx) * scale_c + offset_c with (image, view) = order[step, i], step = clock[0], which is
// ((byte / 255) - mean_c) / std_c. Pixels from outside the image are black (byte 0).
// images: [count] images of `words` u32, each its bytes [C, H, W], little-endian. order: [steps, batch, 2]. clock: [4].
// x: [batch, H, W] vec4f, unused channels 0. A void image (0xffffffff) or a step past the order gives zeros; an image outside
// first .. first + count - 1 leaves x as it is. With ring > 0 the table holds the images of `ring` steps in the order's own order,
// those of step s at s % ring, and every image of the step is there.
// Augmentation, keyed by (seed, image, view): the image moved by 0 .. 2 padding - padding pixels each way, then mirrored or
// not, then a square of `cutout` pixels a side around a pixel of it made x = 0; view 0xffffffff is the image itself.
// One invocation owns 4 pixels of a row, whose bytes lie in two words of each channel; a workgroup 64 invocations. Workgroups may
// exceed the work.

struct Shape {
  batch: u32, height: u32, width: u32, channels: u32, first: u32, count: u32, steps: u32, words: u32, padding: u32, flip: u32, seed: u32,
  cutout: u32, ring: u32,
  scale0: f32, scale1: f32, scale2: f32, scale3: f32, offset0: f32, offset1: f32, offset2: f32, offset3: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> images: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<vec2u>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (group.y * groups.x + group.x) * 64u + lane;
  let chunks = (shape.width + 3u) / 4u;
  let i = at / (chunks * shape.height);
  if (i >= shape.batch) { return; }
  let row = at / chunks % shape.height;
  let column = at % chunks * 4u;
  let target_ = (i * shape.height + row) * shape.width + column;
  let pixels = min(4u, shape.width - column);

  let step = clock[0];
  var entry = vec2u(0xffffffffu);
  if (step < shape.steps) { entry = order[step * shape.batch + i]; }
  if (entry.x == 0xffffffffu) {
    for (var j = 0u; j < pixels; j++) { x[target_ + j] = vec4f(); }
    return;
  }
  var local = entry.x - shape.first; // wraps below first, so one comparison tells both sides
  if (shape.ring != 0u) { local = step % shape.ring * shape.batch + i; }
  if (local >= shape.count) { return; }

  var shift = vec2i();
  var mirrored = false;
  var corner = vec2i(); // of the square cut out: its upper left pixel, which may lie outside
  var side = 0i;
  if (entry.y != 0xffffffffu) {
    let key = mix_(entry.x ^ mix_(entry.y ^ mix_(shape.seed)));
    let range = 2u * shape.padding + 1u;
    shift = vec2i(vec2u(mix_(key + 1u) % range, mix_(key + 2u) % range)) - vec2i(i32(shape.padding));
    mirrored = shape.flip != 0u && (mix_(key + 3u) & 1u) == 1u;
    side = i32(shape.cutout);
    corner = vec2i(vec2u(mix_(key + 4u) % shape.width, mix_(key + 5u) % shape.height)) - vec2i(side / 2);
  }
  let sourceRow = i32(row) + shift.y;
  // Leftmost source pixel of the four: mirrored, the fourth target pixel's.
  let left = select(i32(column), i32(shape.width) - 4 - i32(column), mirrored) + shift.x;
  var bytes = vec4u(); // a channel each; byte j is source pixel left + j
  if (sourceRow >= 0 && sourceRow < i32(shape.height)) {
    for (var c = 0u; c < shape.channels; c++) {
      bytes[c] = fourBytes(local * shape.words, (i32(c * shape.height) + sourceRow) * i32(shape.width) + left);
    }
  }
  let scale = vec4f(shape.scale0, shape.scale1, shape.scale2, shape.scale3);
  let offset = vec4f(shape.offset0, shape.offset1, shape.offset2, shape.offset3);
  for (var j = 0u; j < pixels; j++) {
    let source = select(j, 3u - j, mirrored);
    let column_ = left + i32(source);
    let inside = column_ >= 0 && column_ < i32(shape.width);
    let value = select(vec4u(), (bytes >> vec4u(8u * source)) & vec4u(255u), inside);
    let within = vec2i(i32(column + j), i32(row)) - corner;
    let cut = all(within >= vec2i()) && all(within < vec2i(side));
    x[target_ + j] = select(vec4f(value) * scale + offset, vec4f(), cut);
  }
}

/** Bytes position .. position + 3 of an image; those outside it are anything. */
fn fourBytes(base: u32, position: i32) -> u32 {
  let last = i32(shape.words) - 1;
  let low = images[base + u32(clamp(position >> 2u, 0, last))];
  let high = images[base + u32(clamp((position >> 2u) + 1, 0, last))];
  let bits = 8u * u32(position & 3);
  return (low >> bits) | ((high << 1u) << (31u - bits));
}

/** The finaliser of MurmurHash3. */
fn mix_(value: u32) -> u32 {
  var h = value;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  return h ^ (h >> 16u);
}
