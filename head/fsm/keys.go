package fsm

import (
	"github.com/gray-runtime/gray/proto"
)

func (s *State) putKey(c *PutKey) *Result {
	switch {
	case c.GetKey() == "":
		return invalid("a key can't be empty")
	case len(c.Key) > maxKey || len(c.Namespace) > maxNamespace:
		return invalid("a key has at most %d bytes, its namespace %d", maxKey, maxNamespace)
	case len(c.Value) > maxValue:
		return invalid("the value of key %q has %d bytes, more than %d: put it into the object store", c.Key, len(c.Value), maxValue)
	}
	name := keyName{c.Namespace, c.Key}
	old := s.keys[name]
	if old != nil && c.Keep {
		return &Result{Existed: true}
	}
	size := s.keyBytes + sizeOf(c.Namespace, c.Key, c.Value)
	if old != nil {
		size -= sizeOf(old.Namespace, old.Key, old.Value)
	}
	if size > maxKeyBytes {
		return fail(proto.Error_STORE_FULL, "keys and values would take %d bytes, more than %d", size, maxKeyBytes)
	}
	s.keys[name] = &KeyRecord{Namespace: c.Namespace, Key: c.Key, Value: c.Value}
	s.keyBytes = size
	return &Result{Existed: old != nil}
}

func sizeOf(namespace, key string, value []byte) int { return len(namespace) + len(key) + len(value) }

func (s *State) deleteKey(c *DeleteKey) *Result {
	name := keyName{c.GetNamespace(), c.GetKey()}
	old := s.keys[name]
	if old == nil {
		return nil
	}
	s.keyBytes -= sizeOf(old.Namespace, old.Key, old.Value)
	delete(s.keys, name)
	return &Result{Existed: true}
}

func (s *State) putPackage(c *PutPackage) *Result {
	if c.GetName() == "" || c.Size < 0 || len(c.Sha256) != 64 {
		return invalid("a package needs a name, a size and a SHA-256 sum")
	}
	old := s.packages[c.Name]
	if old != nil && old.Sha256 == c.Sha256 {
		return &Result{Existed: true}
	}
	s.packages[c.Name] = &PackageRecord{Name: c.Name, Size: c.Size, Sha256: c.Sha256, StoredMs: s.now}
	return nil
}

func (s *State) deletePackage(c *DeletePackage) *Result {
	if s.packages[c.GetName()] == nil {
		return nil
	}
	delete(s.packages, c.Name)
	return &Result{Existed: true}
}
