// y[n, oy, ox, f] = g(sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[f, ky, kx, c]) with
// g(s) = s factor[f] + term[f], behind it the ReLU if `relu`; of several splits the first adds the terms, and no more is done.
// x [N, H, W, C4], weight [F4, KH, KW, C4], partial [splits, N, OH, OW, F4], as vec4f along the last dimension.
// `terms` [F4], behind it the factors: `has` says how many of the two there are; for 0 any buffer may stand in its place.
// With one split, partial is y itself; otherwise sum-partials.wgsl adds the copies.
// An implicit matrix product for discrete GPUs, pixels x filters, summed over K = (ky, kx, c) in steps of 8 numbers, two
// vec4f, whose operands pass through two buffers in workgroup memory: while one is used, the next step is loaded.
// One workgroup: 128 pixels x 8 ACROSS filters over `steps_per_split` steps of one split (workgroup_id.z).
// One invocation: 8 x 8 of them as 2 x 2 blocks of 4 x 4, which lie 64 pixels and 4 ACROSS filters apart.
// Preconditions: ACROSS is 16 or 4. Ragged edges are guarded.

// What operands are kept as in workgroup memory, and so rounded to; sums are f32 in any case.
alias Staged = vec4f;
const ACROSS = 16u;
const THREADS = 16u * ACROSS;
// vec4f of x that an invocation loads a step, 32 rows apart; of weight it loads one.
const LOADS = 16u / ACROSS;
const LANES = min(ACROSS, 8u);

struct Shape {
  height: i32, width: i32, channels4: i32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, pixels: u32, has: u32, relu: u32,
  steps: u32, steps_per_split: u32,
}

struct Sums { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> terms: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec4f>;

// [buffer, vec4f k of the step, j = row % 4, row / 4 xor (4 k + j)], each a vec4f along K: the exclusive or keeps the
// invocations that load and those that read off each other's banks.
var<workgroup> rows: array<Staged, 512>;
var<workgroup> columns: array<Staged, 32u * ACROSS>;

// The image's first row, and the window's top left corner in x (may lie outside).
fn corner(pixel: u32) -> vec3i {
  let line = min(pixel, shape.pixels - 1u) / shape.out_width;
  let column = i32(min(pixel, shape.pixels - 1u) % shape.out_width);
  return vec3i(i32(line / shape.out_height) * shape.height,
    i32(line % shape.out_height) * shape.stride_y - shape.top, column * shape.stride_x - shape.left);
}

// A tap is (ky, kx, vec4f of channels); one step ahead.
fn advance(tap: vec3i) -> vec3i {
  var next = tap + vec3i(0, 0, 2);
  while (next.z >= shape.channels4) {
    next = vec3i(select(next.xy + vec2i(0, 1), vec2i(next.x + 1, 0), next.y + 1 == shape.kernel_width), next.z - shape.channels4);
  }
  return next;
}

fn load(at: vec3i, tap: vec3i) -> vec4f {
  let iy = at.y + tap.x;
  let ix = at.z + tap.y;
  let ok = tap.x < shape.kernel_height && u32(iy) < u32(shape.height) && u32(ix) < u32(shape.width);
  return select(vec4f(), x[u32(select(0, ((at.x + iy) * shape.width + ix) * shape.channels4 + tap.z, ok))], ok);
}

// Where vec4f k of a row lies in a buffer of 4 `quarter` rows.
fn slot(k: u32, row: u32, quarter: u32) -> u32 {
  return (4u * k + row % 4u) * quarter + ((row / 4u) ^ (4u * k + row % 4u));
}
// 4 pixels, a column each.
fn row_block(buffer: u32, k: u32, q: u32) -> mat4x4f {
  let at = 256u * buffer + 128u * k;
  return mat4x4f(vec4f(rows[at + (q ^ (4u * k))]), vec4f(rows[at + 32u + (q ^ (4u * k + 1u))]),
    vec4f(rows[at + 64u + (q ^ (4u * k + 2u))]), vec4f(rows[at + 96u + (q ^ (4u * k + 3u))]));
}

// 4 numbers of K, a column each, over 4 filters.
fn column_block(buffer: u32, k: u32, q: u32) -> mat4x4f {
  let at = (16u * buffer + 8u * k) * ACROSS;
  return transpose(mat4x4f(vec4f(columns[at + (q ^ (4u * k))]), vec4f(columns[at + 2u * ACROSS + (q ^ (4u * k + 1u))]),
    vec4f(columns[at + 4u * ACROSS + (q ^ (4u * k + 2u))]), vec4f(columns[at + 6u * ACROSS + (q ^ (4u * k + 3u))])));
}

fn add(sum: vec4f, a: vec4f, b: mat4x4f) -> vec4f {
  return fma(b[3], vec4f(a.w), fma(b[2], vec4f(a.z), fma(b[1], vec4f(a.y), fma(b[0], vec4f(a.x), sum))));
}

// The sums of 4 pixels (a column each) over 4 filters, and 4 numbers of K more.
fn add_block(sum: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(add(sum[0], a[0], b), add(sum[1], a[1], b), add(sum[2], a[2], b), add(sum[3], a[3], b));
}

fn store_pixel(split: u32, pixel: u32, f: u32, sum: vec4f) {
  if (f >= shape.filters4 || pixel >= shape.pixels) { return; }
  var value = sum;
  if (shape.has > 1u) { value *= terms[shape.filters4 + f]; }
  if (shape.has > 0u && split == 0u) { value += terms[f]; }
  value = select(value, vec4f(), vec4<bool>(shape.relu != 0u) & (value <= vec4f()));
  partial[(split * shape.pixels + pixel) * shape.filters4 + f] = value;
}

fn store(split: u32, pixel: u32, f: u32, sum: mat4x4f) {
  store_pixel(split, pixel, f, sum[0]);
  store_pixel(split, pixel + 1u, f, sum[1]);
  store_pixel(split, pixel + 2u, f, sum[2]);
  store_pixel(split, pixel + 3u, f, sum[3]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let blocks = (shape.filters4 + 2u * ACROSS - 1u) / (2u * ACROSS);
  let tile = group.y * groups.x + group.x;
  let pixel = tile / blocks * 128u;
  let f = tile % blocks * 2u * ACROSS;
  if (pixel >= shape.pixels) { return; }
  // 32 invocations cover LANES quadruples of filters and 32 / LANES of pixels.
  let across = lane % LANES + lane / 32u % (ACROSS / LANES) * LANES;
  let down = lane / LANES % (32u / LANES) + lane / (32u * (ACROSS / LANES)) * (32u / LANES);
  // What this invocation loads: one vec4f of the step, of LOADS pixels and one filter.
  let row = lane / 2u;
  let own = array(corner(pixel + row), corner(pixel + row + 32u), corner(pixel + row + 64u), corner(pixel + row + 96u));
  let depth = u32(shape.kernel_height * shape.kernel_width * shape.channels4);
  let filter_start = min(4u * f + row, 4u * shape.filters4 - 1u) * depth;
  let start = group.z * shape.steps_per_split;
  let end = min(start + shape.steps_per_split, shape.steps);
  var k = 2u * start + lane % 2u;
  let spot = i32(k) / shape.channels4;
  var tap = vec3i(spot / shape.kernel_width, spot % shape.kernel_width, i32(k) % shape.channels4);
  var sums: Sums;
  // Each turn loads step t + 1 and uses step t; the first only loads.
  for (var t = i32(start) - 1; t < i32(end); t++) {
    let more = t + 1 < i32(end);
    let buffer = u32(t) & 1u;
    var v = mat4x4f();
    var w = vec4f();
    if (more) {
      w = select(vec4f(), weight[filter_start + min(k, depth - 1u)], k < depth);
      v[0] = load(own[0], tap);
      if (LOADS > 1u) { v = mat4x4f(v[0], load(own[1], tap), load(own[2], tap), load(own[3], tap)); }
      k += 2u;
      tap = advance(tap);
    }
    if (t >= i32(start)) {
      for (var i = 0u; i < 2u; i++) {
        let b0 = column_block(buffer, i, across);
        let b1 = column_block(buffer, i, across + ACROSS);
        let a0 = row_block(buffer, i, down);
        let a1 = row_block(buffer, i, down + 16u);
        sums = Sums(add_block(sums.a, a0, b0), add_block(sums.b, a0, b1), add_block(sums.c, a1, b0), add_block(sums.d, a1, b1));
      }
    }
    if (more) {
      columns[16u * ACROSS * (1u - buffer) + slot(lane % 2u, row, 2u * ACROSS)] = Staged(w);
      let at = 256u * (1u - buffer) + slot(lane % 2u, row, 32u);
      rows[at] = Staged(v[0]);
      if (LOADS > 1u) { rows[at + 8u] = Staged(v[1]); rows[at + 16u] = Staged(v[2]); rows[at + 24u] = Staged(v[3]); }
    }
    workgroupBarrier();
  }
  store(group.z, pixel + 4u * down, f + across, sums.a);
  store(group.z, pixel + 4u * down, f + across + ACROSS, sums.b);
  store(group.z, pixel + 4u * down + 64u, f + across, sums.c);
  store(group.z, pixel + 4u * down + 64u, f + across + ACROSS, sums.d);
}
