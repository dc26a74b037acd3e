// dx[n, iy, ix, c] = sum over ky, kx, f of dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, f] weight[f, ky, kx, c]
// where the divisions leave no rest and the results lie inside the output.
// dy [N, OH, OW, F4], weight [F4, KH, KW, C4], partial [splits, N, H, W, C4], as vec4f along the last dimension. With one
// split, partial is dx itself; otherwise sum-partials.wgsl adds the copies.
// An implicit matrix product for discrete GPUs, made like forward.tiled.wgsl: pixels x channels, summed over K = (ky, kx, f).
// Pixels are taken by class, iy mod sy and ix mod sx: those of a class share their taps, so none is wasted. A class is a
// grid of grid_height x grid_width per image, and grid row j of class r is image row j sy + r, if it exists.
// One workgroup: 128 pixels of a class x 8 ACROSS channels over `steps_per_split` steps; workgroup_id.z is (class, split).
// One invocation: 8 x 8 of them as 2 x 2 blocks of 4 x 4, which lie 64 pixels and 4 ACROSS channels apart.
// Preconditions: ACROSS is 16 or 4. Ragged edges are guarded.

// What operands are kept as in workgroup memory, and so rounded to; sums are f32 in any case.
alias Staged = vec4f;
const ACROSS = 16u;
const THREADS = 16u * ACROSS;
// vec4f of dy that an invocation loads a step, 32 rows apart; of weight it loads one.
const LOADS = 16u / ACROSS;
const LANES = min(ACROSS, 8u);

struct Shape {
  height: u32, width: u32, channels4: u32, filters4: i32, out_height: i32, out_width: i32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  grid_height: u32, grid_width: u32, pixels: u32, splits: u32, steps_per_split: u32,
}

struct Sums { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

// [buffer, vec4f k of the step, j = row % 4, row / 4 xor (4 k + j)], each a vec4f along K: the exclusive or keeps the
// invocations that load and those that read off each other's banks.
var<workgroup> rows: array<Staged, 512>;
// [buffer, number of the step, (4 channels) xor 4 k]
var<workgroup> columns: array<Staged, 32u * ACROSS>;

// Image, grid row and grid column of a pixel of the class.
fn position(pixel: u32) -> vec3i {
  let at = min(pixel, shape.pixels - 1u);
  let line = at / shape.grid_width;
  return vec3i(i32(line / shape.grid_height), i32(line % shape.grid_height), i32(at % shape.grid_width));
}

// A tap is (row, column, vec4f of filters) among the class's taps; one step ahead.
fn advance(tap: vec3i, taps: vec2i) -> vec3i {
  var next = tap + vec3i(0, 0, 2);
  while (next.z >= shape.filters4) {
    next = vec3i(select(next.xy + vec2i(0, 1), vec2i(next.x + 1, 0), next.y + 1 == taps.y), next.z - shape.filters4);
  }
  return next;
}

fn load(at: vec3i, tap: vec3i, taps: vec2i) -> vec4f {
  let oy = at.y - tap.x;
  let ox = at.z - tap.y;
  let ok = tap.x < taps.x && u32(oy) < u32(shape.out_height) && u32(ox) < u32(shape.out_width);
  let address = ((at.x * shape.out_height + oy) * shape.out_width + ox) * shape.filters4 + tap.z;
  return select(vec4f(), dy[u32(select(0, address, ok))], ok);
}

// 4 channels of filter `number` of the tap's vec4f.
fn load_weight(tap: vec3i, taps: vec2i, first: vec2i, number: u32, c: u32) -> vec4f {
  let spot = first + tap.xy * vec2i(shape.stride_y, shape.stride_x);
  let filter_row = (4 * tap.z + i32(number)) * shape.kernel_height + spot.x;
  let address = u32(filter_row * shape.kernel_width + spot.y) * shape.channels4 + c;
  return select(vec4f(), weight[select(0u, address, tap.x < taps.x)], tap.x < taps.x);
}

// 4 pixels, a column each.
fn row_block(buffer: u32, k: u32, q: u32) -> mat4x4f {
  let at = 256u * buffer + 128u * k;
  return mat4x4f(vec4f(rows[at + (q ^ (4u * k))]), vec4f(rows[at + 32u + (q ^ (4u * k + 1u))]),
    vec4f(rows[at + 64u + (q ^ (4u * k + 2u))]), vec4f(rows[at + 96u + (q ^ (4u * k + 3u))]));
}

// 4 numbers of K, a column each, over 4 channels.
fn column_block(buffer: u32, k: u32, q: u32) -> mat4x4f {
  let at = (16u * buffer + 8u * k) * ACROSS + (q ^ (4u * k));
  return mat4x4f(vec4f(columns[at]), vec4f(columns[at + 2u * ACROSS]), vec4f(columns[at + 4u * ACROSS]), vec4f(columns[at + 6u * ACROSS]));
}

fn add(sum: vec4f, a: vec4f, b: mat4x4f) -> vec4f {
  return fma(b[3], vec4f(a.w), fma(b[2], vec4f(a.z), fma(b[1], vec4f(a.y), fma(b[0], vec4f(a.x), sum))));
}

// The sums of 4 pixels (a column each) over 4 channels, and 4 numbers of K more.
fn add_block(sum: mat4x4f, a: mat4x4f, b: mat4x4f) -> mat4x4f {
  return mat4x4f(add(sum[0], a[0], b), add(sum[1], a[1], b), add(sum[2], a[2], b), add(sum[3], a[3], b));
}

fn store_pixel(split: u32, pixel: u32, class_at: vec2i, c: u32, sum: vec4f) {
  let at = position(pixel);
  let iy = u32(at.y * shape.stride_y + class_at.x);
  let ix = u32(at.z * shape.stride_x + class_at.y);
  if (c >= shape.channels4 || pixel >= shape.pixels || iy >= shape.height || ix >= shape.width) { return; }
  let image = split * (shape.pixels / (shape.grid_height * shape.grid_width)) + u32(at.x);
  partial[((image * shape.height + iy) * shape.width + ix) * shape.channels4 + c] = sum;
}

fn store(split: u32, pixel: u32, class_at: vec2i, c: u32, sum: mat4x4f) {
  store_pixel(split, pixel, class_at, c, sum[0]);
  store_pixel(split, pixel + 1u, class_at, c, sum[1]);
  store_pixel(split, pixel + 2u, class_at, c, sum[2]);
  store_pixel(split, pixel + 3u, class_at, c, sum[3]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let blocks = (shape.channels4 + 2u * ACROSS - 1u) / (2u * ACROSS);
  let tile = group.y * groups.x + group.x;
  let pixel = tile / blocks * 128u;
  let c = tile % blocks * 2u * ACROSS;
  if (pixel >= shape.pixels) { return; }
  let split = group.z % shape.splits;
  let class_index = i32(group.z / shape.splits);
  let class_at = vec2i(class_index / shape.stride_x, class_index % shape.stride_x);
  // The class's first tap, its number of taps, and how far the first tap's output lies from the grid position.
  let stride = vec2i(shape.stride_y, shape.stride_x);
  let edge = class_at + vec2i(shape.top, shape.left);
  let taps = max(vec2i(), (vec2i(shape.kernel_height, shape.kernel_width) - edge % stride + stride - 1) / stride);
  let shift = vec3i(0, edge / stride);
  // 32 invocations cover LANES quadruples of channels and 32 / LANES of pixels.
  let across = lane % LANES + lane / 32u % (ACROSS / LANES) * LANES;
  let down = lane / LANES % (32u / LANES) + lane / (32u * (ACROSS / LANES)) * (32u / LANES);
  // What this invocation loads: vec4f `half` of the step, of LOADS pixels; one of its filters' 4 channels.
  let half = lane % 2u;
  let row = lane / 2u;
  let own = array(position(pixel + row) + shift, position(pixel + row + 32u) + shift,
    position(pixel + row + 64u) + shift, position(pixel + row + 96u) + shift);
  let row_slot = (4u * half + row % 4u) * 32u + ((row / 4u) ^ (4u * half + row % 4u));
  let column = row % (2u * ACROSS);
  let number = lane / (4u * ACROSS);
  let column_slot = (4u * half + number) * 2u * ACROSS + (column ^ (4u * half));
  let start = split * shape.steps_per_split;
  let end = min(start + shape.steps_per_split, u32(taps.x * taps.y * shape.filters4 + 1) / 2u);
  let k = i32(2u * start + half);
  var tap = vec3i(k / shape.filters4 / max(taps.y, 1), k / shape.filters4 % max(taps.y, 1), k % shape.filters4);
  var sums: Sums;
  // Each turn loads step t + 1 and uses step t; the first only loads.
  for (var t = i32(start) - 1; t < i32(end); t++) {
    let more = t + 1 < i32(end);
    let buffer = u32(t) & 1u;
    var v = mat4x4f();
    var w = vec4f();
    if (more) {
      w = load_weight(tap, taps, edge % stride, number, min(c + column, shape.channels4 - 1u));
      v[0] = load(own[0], tap, taps);
      if (LOADS > 1u) { v = mat4x4f(v[0], load(own[1], tap, taps), load(own[2], tap, taps), load(own[3], tap, taps)); }
      tap = advance(tap, taps);
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
      columns[16u * ACROSS * (1u - buffer) + column_slot] = Staged(w);
      let at = 256u * (1u - buffer) + row_slot;
      rows[at] = Staged(v[0]);
      if (LOADS > 1u) { rows[at + 8u] = Staged(v[1]); rows[at + 16u] = Staged(v[2]); rows[at + 24u] = Staged(v[3]); }
    }
    workgroupBarrier();
  }
  store(split, pixel + 4u * down, class_at, c + across, sums.a);
  store(split, pixel + 4u * down, class_at, c + across + ACROSS, sums.b);
  store(split, pixel + 4u * down + 64u, class_at, c + across, sums.c);
  store(split, pixel + 4u * down + 64u, class_at, c + across + ACROSS, sums.d);
}
