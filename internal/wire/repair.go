package wire

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// appendMessage appends a message's bytes to b. Text that isn't UTF-8, which no message can
// carry and which names and errors of users can be, is repaired.
func appendMessage(b []byte, m proto.Message) ([]byte, error) {
	out, err := proto.MarshalOptions{}.MarshalAppend(b, m)
	if err == nil {
		return out, nil
	}
	m = proto.Clone(m)
	if !repair(m.ProtoReflect()) {
		return nil, err
	}
	return proto.MarshalOptions{}.MarshalAppend(b, m)
}

// repair replaces what isn't UTF-8 in a message's texts. It reports whether there was any.
func repair(m protoreflect.Message) (changed bool) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			changed = repairMap(f, v.Map()) || changed
		case f.IsList():
			for i := range v.List().Len() {
				if next, ok := repaired(f, v.List().Get(i)); ok {
					v.List().Set(i, next)
					changed = true
				}
			}
		default:
			if next, ok := repaired(f, v); ok {
				m.Set(f, next)
				changed = true
			}
		}
		return true
	})
	return changed
}

func repairMap(f protoreflect.FieldDescriptor, all protoreflect.Map) (changed bool) {
	type entry struct{ key, value protoreflect.Value }
	var fresh []entry
	all.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		key, keyChanged := repaired(f.MapKey(), k.Value())
		value, valueChanged := repaired(f.MapValue(), v)
		if keyChanged || valueChanged {
			all.Clear(k)
			fresh = append(fresh, entry{key, value})
		}
		return true
	})
	for _, e := range fresh {
		all.Set(e.key.MapKey(), e.value)
	}
	return len(fresh) > 0
}

// repaired is a value without what isn't UTF-8; a message is changed in place.
func repaired(f protoreflect.FieldDescriptor, v protoreflect.Value) (protoreflect.Value, bool) {
	switch f.Kind() {
	case protoreflect.StringKind:
		valid := strings.ToValidUTF8(v.String(), "\uFFFD")
		return protoreflect.ValueOfString(valid), valid != v.String()
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return v, repair(v.Message())
	}
	return v, false
}
