// Each 2x2 tile of the result is A^T M A + bias: Winograd's F(2x2, 3x3).
// M [16][tiles][rows4] from `m_first` of scratch on, planes `m_plane` apart; bias [rows4]; result [N, height, width, rows4],
// as vec4f. The tiles are those of the images from `first_image` on.
// One invocation: 4 channels of one tile. Excess invocations return.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.

struct Shape {
  height: u32, width: u32, rows4: u32, tiles: u32, tiles_y: u32, tiles_x: u32, m_first: u32, m_plane: u32, first_image: u32, has_bias: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;

fn store(image: u32, row: u32, column: u32, c: u32, value: vec4f) {
  if (row < shape.height && column < shape.width) {
    result[((image * shape.height + row) * shape.width + column) * shape.rows4 + c] = value;
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.tiles * shape.rows4) { return; }
  let c = i % shape.rows4;
  let tile = i / shape.rows4;
  let rest = tile % (shape.tiles_y * shape.tiles_x);
  let image = shape.first_image + tile / (shape.tiles_y * shape.tiles_x);
  let row = 2u * (rest / shape.tiles_x);
  let column = 2u * (rest % shape.tiles_x);
  var half: array<array<vec4f, 4>, 2>; // A^T M
  for (var j = 0u; j < 4u; j++) {
    let at = shape.m_first + j * shape.m_plane + i;
    let m0 = scratch[at];
    let m1 = scratch[at + 4u * shape.m_plane];
    let m2 = scratch[at + 8u * shape.m_plane];
    let m3 = scratch[at + 12u * shape.m_plane];
    half[0][j] = m0 + m1 + m2;
    half[1][j] = m1 - m2 - m3;
  }
  let start = select(vec4f(), bias[c], shape.has_bias != 0u);
  for (var r = 0u; r < 2u; r++) {
    store(image, row + r, column, c, start + half[r][0] + half[r][1] + half[r][2]);
    store(image, row + r, column + 1u, c, start + half[r][1] - half[r][2] - half[r][3]);
  }
}
