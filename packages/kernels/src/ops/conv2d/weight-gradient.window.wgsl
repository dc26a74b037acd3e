// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy + ky - top, ox + kx - left, c], for windows TAPS wide, 3 with one
// column of padding on both sides or 2 with one on the right, stride 1 and as many output rows as input rows: then pixel p of dy and
// of x, counted over all rows and images, lie in the same place, and the taps of a window row are pixels p - 1 (3 wide only), p
// and p + 1. So all pixels are one run: no step is cut short at the end of a row.
// x [N, H, W, C4], dy [N, H, W, F4], all as vec4f along the last dimension.
// partial [splits, F4, KH, TAPS, C4]: the pixels are cut into `splits` runs of `pixels_per_split` (a multiple of 4), each summed
// into a copy of its own; sum-partials.wgsl adds the copies. With one split, partial is dweight itself.
// A matrix product in registers, 4 pixels a step. One lane: 4 channels of the taps of a window row, whose pixels overlap: of
// the 6 pixels of x that a step needs, 2 are left from the step before. One workgroup: one subgroup, SUBGROUP such columns x
// ROWS filters in one split (workgroup_id.z). 4 pixels x ROWS filters of dy are loaded once a subgroup and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is 8 or 16. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const TAPS = 3u;
const COLUMNS = ROWS / 4u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, channels4: i32, filters4: u32, kernel_height: i32, top: i32, pixels: i32, pixels_per_split: i32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

// Row and column of a pixel, and of the one after it.
fn position(pixel: i32) -> vec2i {
  let rest = pixel % (shape.height * shape.width);
  return vec2i(rest / shape.width, rest % shape.width);
}

fn next(at: vec2i) -> vec2i {
  let wraps = at.y + 1 == shape.width;
  return vec2i(select(at.x, select(at.x + 1, 0, at.x + 1 == shape.height), wraps), select(at.y + 1, 0, wraps));
}

// 4 channels `rows` rows below a pixel of the row `row`; zero outside of the image.
fn load(pixel: i32, row: i32, rows: i32, c: i32) -> vec4f {
  let inside = row + rows >= 0 && row + rows < shape.height && pixel >= 0 && pixel < shape.pixels;
  return select(vec4f(), x[select(0, (pixel + rows * shape.width) * shape.channels4 + c, inside)], inside);
}

fn load_gradient(pixel: i32, end: i32, f: u32) -> vec4f {
  return select(vec4f(), dy[u32(min(pixel, shape.pixels - 1)) * shape.filters4 + f], pixel < end);
}

fn store(at: u32, f: u32, row: u32, ok: bool, s: mat4x4f) {
  if (!ok || f >= shape.filters4) { return; }
  partial[at + 4u * f * row] = s[0];
  partial[at + (4u * f + 1u) * row] = s[1];
  partial[at + (4u * f + 2u) * row] = s[2];
  partial[at + (4u * f + 3u) * row] = s[3];
}

// Number i of a step's vec4f, in every lane.
fn spread(w: ptr<function, array<vec4f, LOADS>>, i: u32) -> vec4f {
  return subgroupShuffle((*w)[i / SUBGROUP], i % SUBGROUP);
}

// Column j: the 4 pixels of filter 4 q + j.
fn rows_of(w: ptr<function, array<vec4f, LOADS>>, q: u32) -> mat4x4f {
  return transpose(mat4x4f(spread(w, q), spread(w, q + COLUMNS), spread(w, q + 2u * COLUMNS), spread(w, q + 3u * COLUMNS)));
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 + COLUMNS - 1u) / COLUMNS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * COLUMNS;
  let own = i32(tile / blocks * SUBGROUP + lane);
  let owned = own < shape.kernel_height * shape.channels4;
  let ky = own / shape.channels4;
  let c = own % shape.channels4;
  // A lane without a column stays outside of every image.
  let rows = select(-shape.height, ky - shape.top, owned);
  // The 4 pixels x COLUMNS vec4f of a step lie in lanes in this order, over LOADS loads.
  let column = min(first + lane % COLUMNS, shape.filters4 - 1u);
  let step = i32(lane / COLUMNS);
  var left: array<mat4x4f, COLUMNS>;
  var centre: array<mat4x4f, COLUMNS>;
  var right: array<mat4x4f, COLUMNS>;
  let start = i32(group.z) * shape.pixels_per_split;
  let end = min(start + shape.pixels_per_split, shape.pixels);
  var at = position(start);
  // Only used when its row is that of pixel `start`.
  var p0 = load(start - 1, at.x, rows, c);
  var p1 = load(start, at.x, rows, c);
  for (var pixel = start; pixel < end; pixel += 4) {
    var w: array<vec4f, LOADS>;
    for (var i = 0; i < i32(LOADS); i++) { w[i] = load_gradient(pixel + i * i32(SUBGROUP / COLUMNS) + step, end, column); }
    let at1 = next(at);
    let at2 = next(at1);
    let at3 = next(at2);
    let at4 = next(at3);
    let p2 = load(pixel + 1, at1.x, rows, c);
    let p3 = load(pixel + 2, at2.x, rows, c);
    let p4 = load(pixel + 3, at3.x, rows, c);
    let p5 = load(pixel + 4, at4.x, rows, c);
    let before = mat4x4f(select(p0, vec4f(), at.y == 0), select(p1, vec4f(), at1.y == 0),
      select(p2, vec4f(), at2.y == 0), select(p3, vec4f(), at3.y == 0));
    let same = mat4x4f(p1, p2, p3, p4);
    let after = mat4x4f(select(p2, vec4f(), at1.y == 0), select(p3, vec4f(), at2.y == 0),
      select(p4, vec4f(), at3.y == 0), select(p5, vec4f(), at4.y == 0));
    // Two loops of 2 elements: a longer one is not unrolled, and then the sums would leave the registers.
    for (var q = 0u; q < 2u; q++) {
      let g = rows_of(&w, q);
      if (TAPS == 3u) { left[q] += before * g; }
      centre[q] += same * g;
      right[q] += after * g;
    }
    for (var q = 2u; q < COLUMNS; q++) {
      let g = rows_of(&w, q);
      if (TAPS == 3u) { left[q] += before * g; }
      centre[q] += same * g;
      right[q] += after * g;
    }
    p0 = p4;
    p1 = p5;
    at = at4;
  }
  let row = u32(shape.kernel_height * shape.channels4) * TAPS;
  let out = group.z * shape.filters4 * 4u * row + TAPS * u32(ky * shape.channels4) + u32(c);
  let middle = out + (TAPS - 2u) * u32(shape.channels4);
  for (var q = 0u; q < COLUMNS; q++) {
    if (TAPS == 3u) { store(out, first + q, row, owned, left[q]); }
    store(middle, first + q, row, owned, centre[q]);
    store(middle + u32(shape.channels4), first + q, row, owned, right[q]);
  }
}
