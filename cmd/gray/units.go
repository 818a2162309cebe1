package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
	{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"B", 1},
}

// parseSize reads a number of bytes, with or without a unit.
func parseSize(s string) (int64, error) {
	text, factor := strings.TrimSpace(s), int64(1)
	for _, u := range sizeUnits {
		if len(text) > len(u.name) && strings.EqualFold(text[len(text)-len(u.name):], u.name) {
			text, factor = strings.TrimSpace(text[:len(text)-len(u.name)]), u.bytes
			break
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/factor {
		return n * factor, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f*float64(factor) > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is no number of bytes (examples: 2000000000, 2GB, 1.5GiB)", s)
	}
	return int64(f * float64(factor)), nil
}

// formatSize is n for people.
func formatSize(n int64) string {
	for _, u := range sizeUnits[:4] {
		if n >= u.bytes {
			return strconv.FormatFloat(float64(n)/float64(u.bytes), 'f', 1, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

// smallest amounts of a resource are in one.
const smallest = 10_000

// formatQuantity is an amount of a resource for people: 1.5, and 2.0 GiB of memory.
// What a difference of floats leaves below the smallest amount isn't shown.
func formatQuantity(name string, v float64) string {
	if strings.HasSuffix(name, "memory") {
		return formatSize(int64(v))
	}
	return strconv.FormatFloat(math.Round(v*smallest)/smallest, 'f', -1, 64)
}

// formatAge is how long ago t was.
func formatAge(t, now time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return "-"
	}
	return formatDuration(now.Sub(t))
}

// formatDuration is d in its largest two units.
func formatDuration(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// formatMillis is a duration in ms for people, with three digits.
func formatMillis(ms float64) string {
	switch d := time.Duration(ms * float64(time.Millisecond)); {
	case d <= 0:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", ms)
	case d < time.Minute:
		return fmt.Sprintf("%.3g s", ms/1000)
	default:
		return formatDuration(d)
	}
}
