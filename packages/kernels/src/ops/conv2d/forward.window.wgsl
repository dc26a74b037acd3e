// y[n, oy, ox, f] = g(sum over ky, kx, c of x[n, oy + ky - top, ox + kx - left, c] weight[f, ky, kx, c]) with
// g(s) = s factor[f] + term[f], behind it the ReLU if `relu`; for windows TAPS wide,
// 3 with one column of padding on both sides or 2 with one on the right, stride 1 and as many output rows as input rows: then pixel p
// of the output and of the input, counted over all rows and images, lie in the same place, and the taps of a window row are pixels
// p - 1 (3 wide only), p, p + 1.
// x [N, H, W, C4], weight [F4, KH, TAPS, C4], y [N, H, W, F4], all as vec4f along the last dimension.
// `terms` [F4], behind it the factors: `has` says how many of the two there are; for 0 any buffer may stand in its place.
// A product in registers. One lane: 4 consecutive pixels, loaded along c once for all taps of a window row, with the pixel
// before and the one after them taken from the neighbouring lanes; one workgroup: one subgroup, 4 SUBGROUP pixels x ROWS
// filters. Weights are loaded once a subgroup and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is 8, 12 or 16. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 12u;
const TAPS = 3u;
const LOADS = (TAPS * ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, channels4: i32, filters4: u32, kernel_height: i32, top: i32, pixels: i32, has: u32, relu: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> terms: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

// Row and column of the pixel after one.
fn next(at: vec2i) -> vec2i {
  let wraps = at.y + 1 == shape.width;
  return vec2i(select(at.x, select(at.x + 1, 0, at.x + 1 == shape.height), wraps), select(at.y + 1, 0, wraps));
}

// The vec4f index of a pixel's first channels `rows` rows below, or -1 outside of the image.
fn address(pixel: i32, row: i32, rows: i32) -> i32 {
  let inside = row + rows >= 0 && row + rows < shape.height && pixel < shape.pixels;
  return select(-1, (pixel + rows * shape.width) * shape.channels4, inside);
}

fn load(at: i32, c: i32) -> vec4f {
  return select(vec4f(), x[max(at, 0) + c], at >= 0);
}

// g of a pixel's sums.
fn finish(sum: vec4f, factor: vec4f, term: vec4f) -> vec4f {
  let value = sum * factor + term;
  return select(value, vec4f(), vec4<bool>(shape.relu != 0u) & (value <= vec4f()));
}

// 4 filters, 4 pixels in each: `pixels` holds a filter a column.
fn store(pixel: i32, f: u32, pixels: mat4x4f, factor: vec4f, term: vec4f) {
  if (f >= shape.filters4) { return; }
  let by_pixel = transpose(pixels);
  let at = u32(pixel) * shape.filters4 + f;
  if (pixel < shape.pixels) { y[at] = finish(by_pixel[0], factor, term); }
  if (pixel + 1 < shape.pixels) { y[at + shape.filters4] = finish(by_pixel[1], factor, term); }
  if (pixel + 2 < shape.pixels) { y[at + 2u * shape.filters4] = finish(by_pixel[2], factor, term); }
  if (pixel + 3 < shape.pixels) { y[at + 3u * shape.filters4] = finish(by_pixel[3], factor, term); }
}

// Number i of a step's weights, in every lane.
fn spread(w: ptr<function, array<vec4f, LOADS>>, i: u32) -> vec4f {
  return subgroupShuffle((*w)[i / SUBGROUP], i % SUBGROUP);
}

// A filter's products with the pixels at the taps.
fn products(w: ptr<function, array<vec4f, LOADS>>, r: u32, left: mat4x4f, centre: mat4x4f, right: mat4x4f) -> vec4f {
  var sum = spread(w, TAPS * r + TAPS - 2u) * centre;
  if (TAPS == 3u) { sum = spread(w, TAPS * r) * left + sum; }
  return sum + spread(w, TAPS * r + TAPS - 1u) * right;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 * 4u + ROWS - 1u) / ROWS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * ROWS;
  let pixel = i32(tile / blocks * 4u * SUBGROUP + 4u * lane);
  let rest = pixel % (shape.height * shape.width);
  let at0 = vec2i(rest / shape.width, rest % shape.width);
  let at1 = next(at0);
  let at2 = next(at1);
  let at3 = next(at2);
  let starts = vec4<bool>(at0.y == 0, at1.y == 0, at2.y == 0, at3.y == 0);
  let ends = vec4<bool>(at0.y + 1 == shape.width, at1.y + 1 == shape.width, at2.y + 1 == shape.width, at3.y + 1 == shape.width);
  let row = u32(shape.kernel_height * shape.channels4) * TAPS;
  let last = shape.filters4 * 4u - 1u;
  var weights: array<u32, LOADS>;
  // The ROWS filters x TAPS of a step lie in lanes in this order, over LOADS loads.
  for (var i = 0u; i < LOADS; i++) {
    let number = min(i * SUBGROUP + lane, TAPS * ROWS - 1u);
    weights[i] = min(first + number / TAPS, last) * row + number % TAPS * u32(shape.channels4);
  }
  var sums: array<vec4f, ROWS>;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    let tap0 = address(pixel, at0.x, ky - shape.top);
    let tap1 = address(pixel + 1, at1.x, ky - shape.top);
    let tap2 = address(pixel + 2, at2.x, ky - shape.top);
    let tap3 = address(pixel + 3, at3.x, ky - shape.top);
    // The outermost lanes have no neighbour.
    var edge = -1;
    if (TAPS == 3u && lane == 0u && !starts.x && tap0 >= 0) { edge = tap0 - shape.channels4; }
    if (lane == SUBGROUP - 1u && !ends.w && tap3 >= 0) { edge = tap3 + shape.channels4; }
    for (var c = 0; c < shape.channels4; c++) {
      let p0 = load(tap0, c);
      let p1 = load(tap1, c);
      let p2 = load(tap2, c);
      let p3 = load(tap3, c);
      var beyond = vec4f();
      if (edge >= 0) { beyond = x[edge + c]; }
      let before = select(subgroupShuffleUp(p3, 1u), beyond, lane == 0u);
      let after = select(subgroupShuffleDown(p0, 1u), beyond, lane == SUBGROUP - 1u);
      let left = mat4x4f(select(before, vec4f(), starts.x), select(p0, vec4f(), starts.y),
        select(p1, vec4f(), starts.z), select(p2, vec4f(), starts.w));
      let centre = mat4x4f(p0, p1, p2, p3);
      let right = mat4x4f(select(p1, vec4f(), ends.x), select(p2, vec4f(), ends.y),
        select(p3, vec4f(), ends.z), select(after, vec4f(), ends.w));
      var w: array<vec4f, LOADS>;
      for (var i = 0u; i < LOADS; i++) { w[i] = weight[weights[i] + TAPS * u32(ky * shape.channels4) + u32(c)]; }
      // One loop for each 4 filters: a longer one is not unrolled, and then the sums would leave the registers.
      for (var r = 0u; r < min(4u, ROWS); r++) { sums[r] += products(&w, r, left, centre, right); }
      for (var r = 4u; r < min(8u, ROWS); r++) { sums[r] += products(&w, r, left, centre, right); }
      for (var r = 8u; r < min(12u, ROWS); r++) { sums[r] += products(&w, r, left, centre, right); }
      for (var r = 12u; r < min(16u, ROWS); r++) { sums[r] += products(&w, r, left, centre, right); }
    }
  }
  let own = min(first / 4u + lane, shape.filters4 - 1u);
  let term = select(vec4f(), terms[own], shape.has > 0u);
  var factor = vec4f(1.0);
  if (shape.has > 1u) { factor = terms[shape.filters4 + own]; }
  for (var q = 0u; q < ROWS / 4u; q++) {
    let pixels = mat4x4f(sums[4u * q], sums[4u * q + 1u], sums[4u * q + 2u], sums[4u * q + 3u]);
    store(pixel, first / 4u + q, pixels, subgroupShuffle(factor, q), subgroupShuffle(term, q));
  }
}
