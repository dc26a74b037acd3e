// y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[f, ky, kx, c]
// x [N, H, W, C4], weight [F4, KH, KW, C4], bias [F4], partial [splits, N, OH, OW, F4], as vec4f along the last dimension.
// With one split, partial is y itself; otherwise sum-partials.wgsl adds the copies. The first split holds the bias.
// An implicit matrix product on matrix units, pixels x filters, over K = (ky, kx, c) in steps of 32: operands are rounded to
// f16 on their way into workgroup memory; sums are f32.
// One workgroup: 128 x 128 over `steps_per_split` steps of one split (workgroup_id.z); one subgroup: 64 x 32 of them.
// Preconditions: subgroups of 32; 16 x 16 x 16 products of f16 into f32. Ragged edges are guarded. Without a bias, any
// buffer may stand in its place.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

struct Shape {
  height: i32, width: i32, channels4: i32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, pixels: u32, has_bias: u32,
  steps: u32, steps_per_split: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec4f>;

// Rows of f16 are padded to 80 bytes, which keeps their loads off each other's banks.
var<workgroup> rows: array<f16, 5120>;
var<workgroup> columns: array<f16, 5120>;
var<workgroup> patches: array<f32, 2048>;

// The image's first row, and the window's top left corner in x (may lie outside).
fn corner(pixel: u32) -> vec3i {
  let line = min(pixel, shape.pixels - 1u) / shape.out_width;
  let column = i32(min(pixel, shape.pixels - 1u) % shape.out_width);
  return vec3i(i32(line / shape.out_height) * shape.height,
    i32(line % shape.out_height) * shape.stride_y - shape.top, column * shape.stride_x - shape.left);
}

// A tap is (ky, kx, vec4f of channels); one step ahead.
fn advance(tap: vec3i) -> vec3i {
  var next = tap + vec3i(0, 0, 8);
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

fn load_weight(filter_at: u32, k: u32, depth: u32) -> vec4f {
  return select(vec4f(), weight[min(filter_at, 4u * shape.filters4 - 1u) * depth + min(k, depth - 1u)], k < depth);
}

fn keep_row(at: u32, v: vec4f) {
  rows[at] = f16(v.x); rows[at + 1u] = f16(v.y); rows[at + 2u] = f16(v.z); rows[at + 3u] = f16(v.w);
}

fn keep_column(at: u32, v: vec4f) {
  columns[at] = f16(v.x); columns[at + 1u] = f16(v.y); columns[at + 2u] = f16(v.z); columns[at + 3u] = f16(v.w);
}

fn store(split: u32, pixel: u32, f: u32, sum: vec4f) {
  if (f >= shape.filters4 || pixel >= shape.pixels) { return; }
  let start = select(vec4f(), bias[f], shape.has_bias != 0u && split == 0u);
  partial[(split * shape.pixels + pixel) * shape.filters4 + f] = sum + start;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 + 31u) / 32u;
  let tile = group.y * groups.x + group.x;
  let pixel = tile / blocks * 128u;
  let f = tile % blocks * 32u;
  if (pixel >= shape.pixels) { return; }
  let down = subgroup / 4u * 64u;
  let across = subgroup % 4u * 32u;
  // What this invocation loads: one vec4f of a step, of 4 pixels and 4 filters.
  let row = index / 8u;
  let own = array(corner(pixel + row), corner(pixel + row + 32u), corner(pixel + row + 64u), corner(pixel + row + 96u));
  let depth = u32(shape.kernel_height * shape.kernel_width * shape.channels4);
  let start = group.z * shape.steps_per_split;
  let end = min(start + shape.steps_per_split, shape.steps);
  var k4 = 8u * start + index % 8u;
  let spot = i32(k4) / shape.channels4;
  var tap = vec3i(spot / shape.kernel_width, spot % shape.kernel_width, i32(k4) % shape.channels4);
  var v: array<vec4f, 4>;
  var w: array<vec4f, 4>;
  for (var i = 0u; i < 4u; i++) {
    v[i] = load(own[i], tap);
    w[i] = load_weight(4u * f + row + 32u * i, k4, depth);
  }
  var sums: array<Sum, 8>;
  for (var t = start; t < end; t++) {
    for (var i = 0u; i < 4u; i++) {
      keep_row((row + 32u * i) * 40u + index % 8u * 4u, v[i]);
      keep_column((row + 32u * i) * 40u + index % 8u * 4u, w[i]);
    }
    workgroupBarrier();
    if (t + 1u < end) {
      k4 += 8u;
      tap = advance(tap);
      for (var i = 0u; i < 4u; i++) {
        v[i] = load(own[i], tap);
        w[i] = load_weight(4u * f + row + 32u * i, k4, depth);
      }
    }
    for (var k = 0u; k < 32u; k += 16u) {
      let b0 = subgroupMatrixLoad<Right, col_major>(&columns, across * 40u + k, 40u);
      let b1 = subgroupMatrixLoad<Right, col_major>(&columns, (across + 16u) * 40u + k, 40u);
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
      store(group.z, pixel + down + 16u * (i / 2u) + h / 4u, f + across / 4u + 4u * (i % 2u) + h % 4u,
        vec4f(patches[p], patches[p + 1u], patches[p + 2u], patches[p + 3u]));
    }
    workgroupBarrier();
  }
}
