package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "2000000000": 2e9, "2GB": 2e9, "2 GiB": 2 << 30, "1.5GiB": 3 << 29, "4g": 4 << 30, "10KB": 1e4, "7B": 7, "1e3": 1000,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "GB", "1XB", "NaN", "Inf", "9999999TiB", "1e300"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func TestFormat(t *testing.T) {
	now := time.Unix(1e9, 0)
	for got, want := range map[string]string{
		formatSize(5):                            "5 B",
		formatSize(3 << 29):                      "1.5 GiB",
		formatQuantity("CPU", 0.5):               "0.5",
		formatQuantity("CPU", 2-1.7):             "0.3",
		formatQuantity("memory", 1<<30):          "1.0 GiB",
		formatAge(now.Add(-90*time.Second), now): "1m30s",
		formatAge(now.Add(-time.Second), now):    "1s",
		formatAge(now.Add(-3*time.Hour), now):    "3h0m",
		formatAge(now.Add(-50*time.Hour), now):   "2d2h",
		formatAge(time.Time{}, now):              "-",
		formatAge(now.Add(time.Hour), now):       "0s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTable(t *testing.T) {
	tab := newTable("ID", "NAME")
	tab.row(1, "a\n\u009bb")
	tab.row(22, "")
	var b bytes.Buffer
	tab.print(&b)
	if want := "ID  NAME\n1   a  b\n22  -\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
	widths := []int{4, 100, 50}
	fit(widths, []bool{false, true, true}, 84)
	if widths[0] != 4 || widths[0]+widths[1]+widths[2]+4 != 84 {
		t.Errorf("widths: %v", widths)
	}
	fit(widths, []bool{false, true, true}, 10) // can't be
	if widths[0] != 4 || widths[1] != narrowest[1] || widths[2] != narrowest[1] {
		t.Errorf("widths: %v", widths)
	}
	widths = []int{30, 30}
	if fit(widths, []bool{false, true}, 50); widths[0] != 30 || widths[1] != 18 {
		t.Errorf("the loose column gives way first: %v", widths)
	}
	if got := cut("abcdef", 4); got != "abc…" {
		t.Errorf("cut: %q", got)
	}
	if f, err := os.Open(os.DevNull); err != nil || isTerminal(f) || isTerminal(strings.NewReader("")) {
		t.Error("not every file is a terminal")
	}
}
