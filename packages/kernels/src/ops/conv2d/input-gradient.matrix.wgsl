// dx[n, iy, ix, c] = sum over ky, kx, f of dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, f] weight[f, ky, kx, c]
// where the divisions leave no rest and the results lie inside the output.
// dy [N, OH, OW, F4], weight [F4, KH, KW, C4], partial [splits, N, H, W, C4], as vec4f along the last dimension. With one
// split, partial is dx itself; otherwise sum-partials.wgsl adds the copies.
// An implicit matrix product on matrix units, pixels x channels, over K = (ky, kx, f) in steps of 32: operands are rounded to
// f16 on their way into workgroup memory; sums are f32. Pixels are taken
// by class, as input-gradient.tiled.wgsl describes.
// One workgroup: 128 x 128 over `steps_per_split` steps, workgroup_id.z is (class, split); one subgroup: 64 x 32 of them.
// Preconditions: subgroups of 32; 16 x 16 x 16 products of f16 into f32. Ragged edges are guarded.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

struct Shape {
  height: u32, width: u32, channels4: u32, filters4: i32, out_height: i32, out_width: i32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  grid_height: u32, grid_width: u32, pixels: u32, splits: u32, steps_per_split: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

// Rows of f16 are padded to 80 bytes, which keeps their loads off each other's banks.
var<workgroup> rows: array<f16, 5120>;
var<workgroup> columns: array<f16, 4352>;
var<workgroup> patches: array<f32, 2048>;

// Image, grid row and grid column of a pixel of the class.
fn position(pixel: u32) -> vec3i {
  let at = min(pixel, shape.pixels - 1u);
  let line = at / shape.grid_width;
  return vec3i(i32(line / shape.grid_height), i32(line % shape.grid_height), i32(at % shape.grid_width));
}

// A tap is (row, column, vec4f of filters) among the class's taps; one step ahead.
fn advance(tap: vec3i, taps: vec2i) -> vec3i {
  var next = tap + vec3i(0, 0, 8);
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
  let address = u32(filter_row * shape.kernel_width + spot.y) * shape.channels4 + min(c, shape.channels4 - 1u);
  return select(vec4f(), weight[select(0u, address, tap.x < taps.x)], tap.x < taps.x);
}

fn keep_row(at: u32, v: vec4f) {
  rows[at] = f16(v.x); rows[at + 1u] = f16(v.y); rows[at + 2u] = f16(v.z); rows[at + 3u] = f16(v.w);
}

fn keep_column(at: u32, v: vec4f) {
  columns[at] = f16(v.x); columns[at + 1u] = f16(v.y); columns[at + 2u] = f16(v.z); columns[at + 3u] = f16(v.w);
}

// `z` is workgroup_id.z.
fn store(z: u32, pixel: u32, c: u32, sum: vec4f) {
  let class_index = i32(z / shape.splits);
  let at = position(pixel);
  let iy = u32(at.y * shape.stride_y + class_index / shape.stride_x);
  let ix = u32(at.z * shape.stride_x + class_index % shape.stride_x);
  if (c >= shape.channels4 || pixel >= shape.pixels || iy >= shape.height || ix >= shape.width) { return; }
  let image = z % shape.splits * (shape.pixels / (shape.grid_height * shape.grid_width)) + u32(at.x);
  partial[((image * shape.height + iy) * shape.width + ix) * shape.channels4 + c] = sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.channels4 + 31u) / 32u;
  let tile = group.y * groups.x + group.x;
  let pixel = tile / blocks * 128u;
  let c = tile % blocks * 32u;
  if (pixel >= shape.pixels) { return; }
  // The class's first tap, its number of taps, and how far the first tap's output lies from the grid position.
  let class_index = i32(group.z / shape.splits);
  let stride = vec2i(shape.stride_y, shape.stride_x);
  let edge = vec2i(class_index / shape.stride_x + shape.top, class_index % shape.stride_x + shape.left);
  let taps = max(vec2i(), (vec2i(shape.kernel_height, shape.kernel_width) - edge % stride + stride - 1) / stride);
  let shift = vec3i(0, edge / stride);
  let down = subgroup / 4u * 64u;
  let across = subgroup % 4u * 32u;
  // What this invocation loads: one vec4f of a step, of 4 pixels; 4 channels of its 4 filters.
  let row = index / 8u;
  let own = array(position(pixel + row) + shift, position(pixel + row + 32u) + shift,
    position(pixel + row + 64u) + shift, position(pixel + row + 96u) + shift);
  let start = group.z % shape.splits * shape.steps_per_split;
  let end = min(start + shape.steps_per_split, u32(taps.x * taps.y * shape.filters4 + 7) / 8u);
  let k4 = i32(8u * start + index % 8u);
  var tap = vec3i(k4 / shape.filters4 / max(taps.y, 1), k4 / shape.filters4 % max(taps.y, 1), k4 % shape.filters4);
  var v: array<vec4f, 4>;
  var w: array<vec4f, 4>;
  for (var i = 0u; i < 4u; i++) {
    v[i] = load(own[i], tap, taps);
    w[i] = load_weight(tap, taps, edge % stride, i, c + row);
  }
  var sums: array<Sum, 8>;
  for (var t = start; t < end; t++) {
    for (var i = 0u; i < 4u; i++) {
      keep_row((row + 32u * i) * 40u + index % 8u * 4u, v[i]);
      keep_column((index % 8u * 4u + i) * 136u + 4u * row, w[i]);
    }
    workgroupBarrier();
    if (t + 1u < end) {
      tap = advance(tap, taps);
      for (var i = 0u; i < 4u; i++) {
        v[i] = load(own[i], tap, taps);
        w[i] = load_weight(tap, taps, edge % stride, i, c + row);
      }
    }
    for (var k = 0u; k < 32u; k += 16u) {
      let b0 = subgroupMatrixLoad<Right, row_major>(&columns, k * 136u + across, 136u);
      let b1 = subgroupMatrixLoad<Right, row_major>(&columns, k * 136u + across + 16u, 136u);
      for (var i = 0u; i < 4u; i++) {
        let a = subgroupMatrixLoad<Left, row_major>(&rows, (down + 16u * i) * 40u + k, 40u);
        sums[2u * i] = subgroupMatrixMultiplyAccumulate(a, b0, sums[2u * i]);
        sums[2u * i + 1u] = subgroupMatrixMultiplyAccumulate(a, b1, sums[2u * i + 1u]);
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 8u; i++) {
    subgroupMatrixStore<row_major>(&patches, 256u * subgroup, sums[i], 16u);
    workgroupBarrier();
    for (var h = lane; h < 64u; h += 32u) {
      let p = 256u * subgroup + 4u * h;
      store(group.z, pixel + down + 16u * (i / 2u) + h / 4u, c + across / 4u + 4u * (i % 2u) + h % 4u,
        vec4f(patches[p], patches[p + 1u], patches[p + 2u], patches[p + 3u]));
    }
    workgroupBarrier();
  }
}
