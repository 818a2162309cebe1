package nn

// Kind is a layer's name.
type Kind string

// The layers.
const (
	KindDense     Kind = "dense"
	KindConv2D    Kind = "conv2d"
	KindMaxPool   Kind = "maxpool"
	KindAvgPool   Kind = "avgpool"
	KindEmbedding Kind = "embedding"
	KindLayerNorm Kind = "layernorm"
	KindDropout   Kind = "dropout"
	KindFlatten   Kind = "flatten"
	KindActivate  Kind = "activate"
)

// Activation is a function that is applied to a layer's outputs.
type Activation string

// The activations.
const (
	Linear  Activation = "" // none
	ReLU    Activation = "relu"
	Tanh    Activation = "tanh"
	Sigmoid Activation = "sigmoid"
	Softmax Activation = "softmax" // over the last index
)

// Layer says what a layer is. It's plain data, and travels. The functions named as layers fill in what's usual; fields may
// be changed after.
type Layer struct {
	Kind       Kind
	Units      int // outputs of Dense, filters of Conv2D, numbers in a row of Embedding
	Activation Activation
	Init       Init // of the weights; the zero Init is Glorot's uniform
	NoBias     bool

	Kernel  int     // Conv2D's, and the pools' window: so many rows and columns
	Stride  int     // Conv2D, pools
	Padding int     // Conv2D: so many zeros on each side
	Rows    int     // Embedding
	Rate    float64 // Dropout: how likely a number is dropped
	Epsilon float64 // LayerNorm
}

// Dense multiplies the last index by weights and adds a bias.
func Dense(units int, a Activation) Layer { return Layer{Kind: KindDense, Units: units, Activation: a} }

// Conv2D convolves images (channels, rows, columns) with filters of kernel × kernel.
func Conv2D(filters, kernel int, a Activation) Layer {
	return Layer{Kind: KindConv2D, Units: filters, Kernel: kernel, Stride: 1, Activation: a}
}

// Same lets a Conv2D of stride 1 and an odd kernel keep the images' size.
func (l Layer) Same() Layer {
	l.Padding = l.Kernel / 2
	return l
}

// MaxPool takes the largest of each window of size × size. What doesn't fill a window is left out.
func MaxPool(size int) Layer { return Layer{Kind: KindMaxPool, Kernel: size, Stride: size} }

// AvgPool takes the mean of each window of size × size. What doesn't fill a window is left out.
func AvgPool(size int) Layer { return Layer{Kind: KindAvgPool, Kernel: size, Stride: size} }

// Embedding replaces each number of a sample, which is a row's, by that row of dim numbers.
func Embedding(rows, dim int) Layer {
	return Layer{Kind: KindEmbedding, Rows: rows, Units: dim, Init: Init{Kind: InitNormal, Scale: 1}}
}

// LayerNorm gives what the last index runs over mean 0 and variance 1, then scales and shifts it by what it learns.
func LayerNorm() Layer { return Layer{Kind: KindLayerNorm, Epsilon: 1e-5} }

// Dropout sets numbers to 0 in training, each as likely as rate, and scales the others so that the mean stays.
func Dropout(rate float64) Layer { return Layer{Kind: KindDropout, Rate: rate} }

// Flatten makes one index of a sample's.
func Flatten() Layer { return Layer{Kind: KindFlatten} }

// Activate applies a function.
func Activate(a Activation) Layer { return Layer{Kind: KindActivate, Activation: a} }
