package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// TokenVariable overrides the token files.
const TokenVariable = "GRAY_TOKEN"

// SaveToken keeps the token of the cluster at address in the user's home, as
// that cluster's and as the latest.
func SaveToken(address, token string) error {
	home, err := Home()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(home, "tokens"), 0o700); err != nil {
		return fmt.Errorf("save token: %w", err)
	}
	for _, path := range []string{filepath.Join(home, "tokens", fileName(address)), filepath.Join(home, "token")} {
		if err := writeFile(path, []byte(token+"\n")); err != nil {
			return fmt.Errorf("save token: %w", err)
		}
	}
	return nil
}

// FindToken returns the token for the cluster at address: GRAY_TOKEN, or what
// SaveToken kept for that address or that of another of the cluster's heads, or what
// it kept last. source names where it came from.
func FindToken(address string) (token, source string, err error) {
	if t := strings.TrimSpace(os.Getenv(TokenVariable)); t != "" {
		return t, TokenVariable, nil
	}
	home, err := Home()
	if err != nil {
		return "", "", err
	}
	var paths []string
	for _, head := range append([]string{address}, FindHeads(address)...) {
		paths = append(paths, filepath.Join(home, "tokens", fileName(head)))
	}
	for _, path := range append(paths, filepath.Join(home, "token")) {
		data, err := readOwn(path)
		if err != nil {
			return "", "", fmt.Errorf("read token: %w", err)
		}
		if t := strings.TrimSpace(string(data)); t != "" {
			return t, path, nil
		}
	}
	return "", "", fmt.Errorf("%w for the cluster at %s: set %s, or copy the file ~/.gray/token of the user who started the head",
		ErrNoToken, address, TokenVariable)
}

// readOwn reads a file of the user's own; one that doesn't exist is empty.
func readOwn(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := CheckOwner(path); err != nil {
		return nil, err
	}
	return data, nil
}

// fileName is address as the name of a file.
func fileName(address string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '.', r == ':', r == '-', r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			return r
		}
		return '_'
	}, address)
}
