// Prints every key that a Cassandra version reads from cassandra.yaml, one a line: name, type, and for old names their new one.
// Run with cassandra-all's jar on the class path: java -cp cassandra-all-5.0.4.jar Keys.java

import java.lang.annotation.Annotation;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;

public class Keys {
    public static void main(String[] args) throws Exception {
        TreeSet<String> lines = new TreeSet<>();
        Class<?> config = Class.forName("org.apache.cassandra.config.Config", false, Keys.class.getClassLoader());
        for (Field field : config.getFields()) {
            if (Modifier.isStatic(field.getModifiers())) continue;
            lines.add(field.getName() + " " + kind(field.getType()));
            for (Annotation annotation : field.getAnnotations()) {
                String type = annotation.annotationType().getSimpleName();
                if (type.equals("Replaces")) lines.add(replaced(annotation, field));
                if (type.equals("ReplacesList"))
                    for (Object one : (Object[]) annotation.annotationType().getMethod("value").invoke(annotation))
                        lines.add(replaced((Annotation) one, field));
            }
        }
        lines.forEach(System.out::println);
    }

    static String replaced(Annotation replaces, Field field) throws Exception {
        String oldName = (String) replaces.annotationType().getMethod("oldName").invoke(replaces);
        Object converter = replaces.annotationType().getMethod("converter").invoke(replaces);
        String type = converter.toString();
        Class<?> old = (Class<?>) get(converter, "oldType");
        return oldName + " " + (old == null ? kind(field.getType()) : kind(old)) + " " + type + " " + field.getName();
    }

    static Object get(Object converter, String name) throws Exception {
        Field field = converter.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field.get(converter);
    }

    static String kind(Class<?> type) {
        if (type == boolean.class || type == Boolean.class) return "bool";
        if (type == int.class || type == Integer.class || type == long.class || type == Long.class) return "int";
        if (type == double.class || type == Double.class || type == float.class || type == Float.class) return "float";
        if (type == String.class) return "string";
        if (type.isEnum())
            return "enum=" + Arrays.stream(type.getEnumConstants()).map(value -> ((Enum<?>) value).name()).collect(Collectors.joining("|"));
        if (type.isArray() || Collection.class.isAssignableFrom(type)) return "list";
        if (Map.class.isAssignableFrom(type)) return "map";
        for (Class<?> up = type; up != null; up = up.getSuperclass()) {
            if (up.getSimpleName().equals("DurationSpec")) return "duration";
            if (up.getSimpleName().equals("DataStorageSpec")) return "storage";
            if (up.getSimpleName().equals("DataRateSpec")) return "rate";
        }
        return type.getSimpleName().equals("ParameterizedClass") ? "class" : "object";
    }
}
