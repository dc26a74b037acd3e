// dx[n, iy, ix, c] = sum over ky, kx, f of dy[n, iy + top - ky, ix + left - kx, f] weight[f, ky, kx, c], for windows TAPS wide, 3 with one
// column of padding on both sides or 2 with one on the right, stride 1 and as many output rows as input rows: then pixel p of the
// output and of the input, counted over all rows and images, lie in the same place, and the taps of a window row are pixels
// p + 1 (3 wide only), p, p - 1.
// dy [N, H, W, F4], weight [F4, KH, TAPS, C4], dx [N, H, W, C4], all as vec4f along the last dimension.
// A product in registers. One lane: 4 consecutive pixels, dy loaded along f once for all taps of a window row, with the pixel
// before and the one after them taken from the neighbouring lanes; one workgroup: one subgroup, 4 SUBGROUP pixels x ROWS
// channels. Weights are loaded once a subgroup and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is 8, 12 or 16. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 12u;
const TAPS = 3u;
const COLUMNS = ROWS / 4u;
const LOADS = (TAPS * ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: i32, kernel_height: i32, top: i32, pixels: i32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

// Row and column of the pixel after one.
fn next(at: vec2i) -> vec2i {
  let wraps = at.y + 1 == shape.width;
  return vec2i(select(at.x, select(at.x + 1, 0, at.x + 1 == shape.height), wraps), select(at.y + 1, 0, wraps));
}

// The vec4f index of a pixel's first filters `rows` rows below, or -1 outside of the image.
fn address(pixel: i32, row: i32, rows: i32) -> i32 {
  let inside = row + rows >= 0 && row + rows < shape.height && pixel < shape.pixels;
  return select(-1, (pixel + rows * shape.width) * shape.filters4, inside);
}

fn load(at: i32, f: i32) -> vec4f {
  return select(vec4f(), dy[max(at, 0) + f], at >= 0);
}

// 4 channels, 4 pixels in each: transposed to one vec4f a pixel.
fn store(pixel: i32, c: u32, s: mat4x4f) {
  if (c >= shape.channels4) { return; }
  let out = u32(pixel) * shape.channels4 + c;
  if (pixel < shape.pixels) { dx[out] = vec4f(s[0].x, s[1].x, s[2].x, s[3].x); }
  if (pixel + 1 < shape.pixels) { dx[out + shape.channels4] = vec4f(s[0].y, s[1].y, s[2].y, s[3].y); }
  if (pixel + 2 < shape.pixels) { dx[out + 2u * shape.channels4] = vec4f(s[0].z, s[1].z, s[2].z, s[3].z); }
  if (pixel + 3 < shape.pixels) { dx[out + 3u * shape.channels4] = vec4f(s[0].w, s[1].w, s[2].w, s[3].w); }
}

// Number i of a step's weights, in every lane.
fn spread(w: ptr<function, array<vec4f, LOADS>>, i: u32) -> vec4f {
  return subgroupShuffle((*w)[i / SUBGROUP], i % SUBGROUP);
}

// Column j: the 4 filters of channel 4 q + j at a tap.
fn rows_of(w: ptr<function, array<vec4f, LOADS>>, q: u32, tap: u32) -> mat4x4f {
  let i = 4u * TAPS * q + tap;
  return transpose(mat4x4f(spread(w, i), spread(w, i + TAPS), spread(w, i + 2u * TAPS), spread(w, i + 3u * TAPS)));
}

// 4 channels' products with the pixels at the taps.
fn products(w: ptr<function, array<vec4f, LOADS>>, q: u32, left: mat4x4f, centre: mat4x4f, right: mat4x4f) -> mat4x4f {
  var sum = centre * rows_of(w, q, TAPS - 2u);
  if (TAPS == 3u) { sum = right * rows_of(w, q, 0u) + sum; }
  return sum + left * rows_of(w, q, TAPS - 1u);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.channels4 + COLUMNS - 1u) / COLUMNS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * COLUMNS;
  let pixel = i32(tile / blocks * 4u * SUBGROUP + 4u * lane);
  let rest = pixel % (shape.height * shape.width);
  let at0 = vec2i(rest / shape.width, rest % shape.width);
  let at1 = next(at0);
  let at2 = next(at1);
  let at3 = next(at2);
  let starts = vec4<bool>(at0.y == 0, at1.y == 0, at2.y == 0, at3.y == 0);
  let ends = vec4<bool>(at0.y + 1 == shape.width, at1.y + 1 == shape.width, at2.y + 1 == shape.width, at3.y + 1 == shape.width);
  let row = u32(shape.kernel_height) * TAPS * shape.channels4;
  // The COLUMNS vec4f of channels x 4 filters x TAPS of a step lie in lanes in this order, over LOADS loads.
  var weights: array<u32, LOADS>;
  for (var i = 0u; i < LOADS; i++) {
    let number = min(i * SUBGROUP + lane, TAPS * ROWS - 1u);
    weights[i] = min(first + number / (4u * TAPS), shape.channels4 - 1u) + number / TAPS % 4u * row + number % TAPS * shape.channels4;
  }
  var sums: array<mat4x4f, COLUMNS>;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    let tap0 = address(pixel, at0.x, shape.top - ky);
    let tap1 = address(pixel + 1, at1.x, shape.top - ky);
    let tap2 = address(pixel + 2, at2.x, shape.top - ky);
    let tap3 = address(pixel + 3, at3.x, shape.top - ky);
    // The outermost lanes have no neighbour.
    var edge = -1;
    if (lane == 0u && !starts.x && tap0 >= 0) { edge = tap0 - shape.filters4; }
    if (TAPS == 3u && lane == SUBGROUP - 1u && !ends.w && tap3 >= 0) { edge = tap3 + shape.filters4; }
    for (var f = 0; f < shape.filters4; f++) {
      let p0 = load(tap0, f);
      let p1 = load(tap1, f);
      let p2 = load(tap2, f);
      let p3 = load(tap3, f);
      var beyond = vec4f();
      if (edge >= 0) { beyond = dy[edge + f]; }
      let before = select(subgroupShuffleUp(p3, 1u), beyond, lane == 0u);
      let after = select(subgroupShuffleDown(p0, 1u), beyond, lane == SUBGROUP - 1u);
      let left = transpose(mat4x4f(select(before, vec4f(), starts.x), select(p0, vec4f(), starts.y),
        select(p1, vec4f(), starts.z), select(p2, vec4f(), starts.w)));
      let centre = transpose(mat4x4f(p0, p1, p2, p3));
      let right = transpose(mat4x4f(select(p1, vec4f(), ends.x), select(p2, vec4f(), ends.y),
        select(p3, vec4f(), ends.z), select(after, vec4f(), ends.w)));
      var w: array<vec4f, LOADS>;
      for (var i = 0u; i < LOADS; i++) { w[i] = weight[weights[i] + u32(4 * f) * row + TAPS * u32(ky) * shape.channels4]; }
      // Written out: a loop would not be unrolled, and then the sums would leave the registers.
      sums[0] += products(&w, 0u, left, centre, right);
      sums[1] += products(&w, 1u, left, centre, right);
      if (COLUMNS > 2u) { sums[COLUMNS - 1u] += products(&w, COLUMNS - 1u, left, centre, right); }
      if (COLUMNS > 3u) { sums[COLUMNS - 2u] += products(&w, COLUMNS - 2u, left, centre, right); }
    }
  }
  for (var q = 0u; q < COLUMNS; q++) { store(pixel, first + q, sums[q]); }
}
